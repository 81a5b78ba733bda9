"""Texts that tokenizers treat differently: white space, control characters, scripts, special tokens."""

_WORD = "the"
_LATIN = (
    "the cat sat",
    "The Cat SAT",
    "CAFÉ naïve",
    "Cafe\u0301 nai\u0308ve",
    "ﬁne ﬂow",
    "Stra\u00dfe \u0130stanbul \u0131",
)
_SPACES = (
    " ",
    "   ",
    " the",
    "  the",
    "the ",
    "the  cat",
    "the   cat    sat ",
    "\tthe\tcat",
    "the\ncat\n\nsat\n",
    "the\r\ncat\r\n",
    "\n",
    "\n\n \t",
    "the\u00a0cat\u2003sat\u3000mat",
    "the\u2028cat\u2029sat\x85mat",
    "\u200bthe\u200c\u200dcat\ufeff",
    "\ufeffthe cat",
    "the\u00adcat",
)
_CONTROL = ("\0", "the\0cat", "\x1b[31mthe\x1b[0m", "\x7f\x01\x02", "the\b\b\x0b\x0c", "\ufffd \ufffe \uffff")
_EMOJI = (
    "🙂",
    "the 🙂cat",
    "👩‍👩‍👧 👍🏽",
    "🇧🇷🇫🇷🇧",
    "1️⃣ ❤️ ☺",
)
_SCRIPTS = (
    "日本語のテキスト",
    "the日cat本",
    "\u4e2d\u6587\uff0c\u6807\u70b9\u3002",
    "한국어 텍스트",
    "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "ภาษาไทย",
    "हिन्दी क्षि",
    "שלום עולם",
    "مرحبا بالعالم",
    "\u202ethe\u202c cat\u200f",
    "Ελληνικά Ωμέγα",
    "Привет мир ё",
    "\uff41\uff42\uff43 \uff11\uff12\uff13",
    "\U0001d517\U0001d525\U0001d522 \U0001d7d9\U0001d7da \u210c",
    "a\u0300\u0301\u0302\u0303 z\u0335",
    "\u0301the",
)
MARKS = (
    "<s>",
    "<s>the cat</s>",
    "the <s> cat </s> sat",
    "</s></s>",
    "[CLS] the [SEP]",
    "the[MASK]cat",
    "the [MASK] cat",
    "the <mask> cat",
    "<mask>",
    "[UNK] <unk>",
    "<pad>[PAD]",
    "<|endoftext|>the<|endoftext|>",
    "the <|endoftext|> cat",
    "<|im_start|>user\nthe<|im_end|>\n",
    "<bos>the<eos>",
    "<extra_id_0> the <extra_id_1>",
    "<0x0A><0xF0>",
    "[cls] <S> [mask]",
    "<s <s>> s>",
    "<NEW> the <other>new",
    "the<NEW>cat",
)
_PIECES = ("▁", "▁the", "the▁cat", "▁▁", "Ġ", "Ġthe", "Ċ", "##ing", "cat##s", "the@@ cat", "the</w>")
_LONG = ("a" * 99, "a" * 101, "cat" * 80, "日" * 120, "the " * 60, "!" * 130, "0" * 210)
_OTHER = (
    "1234567890 3.14 1,000,000 1e-5",
    "https://example.org/a?b=c&d=%20#e",
    "me@example.org",
    "def f(x):\n    return x + 1  # why\n",
    '{"a": [1, 2, null]}',
    "it's I'm we'll they'd DON'T",
    "``the'' ''cat`` \"sat\"",
    "the-cat_sat/mat\\street",
    "...!?!?;:,.",
    "(the) [cat] {sat} <mat>",
    "C:\\the\\cat",
    "½ ² ™ ® … — ’ “ ”",
    "the\u0000",
    "zzz\tqqq\u2581xxx",
)
HOSTILE = (*_LATIN, *_SPACES, *_CONTROL, *_EMOJI, *_SCRIPTS, *MARKS, *_PIECES, *_LONG, *_OTHER)
PAIRS = (
    ("the cat sat", "and the animal was tired"),
    (" the", " cat"),
    ("<s>the", "</s>cat"),
    ("[CLS] the", "[SEP] cat"),
    ("日本", "🙂"),
    ("\u0301the", "CAFÉ"),
)
