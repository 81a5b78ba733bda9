"""XLM-RoBERTa: RoBERTa in a hundred languages. Conneau et al. 2019, arXiv:1911.02116."""

from attn_cli.models.native.architectures.encoders.roberta import spec

__all__ = ["spec"]
