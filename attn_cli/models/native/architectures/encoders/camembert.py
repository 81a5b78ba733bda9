"""CamemBERT: RoBERTa in French. Martin et al. 2019, arXiv:1911.03894."""

from attn_cli.models.native.architectures.encoders.roberta import spec

__all__ = ["spec"]
