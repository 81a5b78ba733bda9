"""Chat templates in the styles of well-known families, and messages that they treat differently."""

from pathlib import Path

from tests.support.twins import RECIPES

CHAT_MODEL = "Qwen/Qwen3-0.6B"
"""The chat model of the examples."""

CHATML = """{% for message in messages %}{% if loop.first and message.role != 'system' %}
<|im_start|>system
You help.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}"""

LLAMA3 = """{{- bos_token }}
{%- if not date is defined %}{%- if strftime_now is defined %}{%- set date = strftime_now('%Y') %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set told = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set told = '' %}{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
{%- if tools is not none %}{{- 'Environment: ipython\\n' }}{%- endif %}
{{- 'Today: ' + date + '\\n\\n' + told + '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""

QWEN = """{%- if tools %}{{- '<|im_start|>system\\n' + (tools | tojson) }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1, multi=true) %}
{%- for message in messages[::-1] %}
    {%- if ns.multi and message.role == 'user' and message.content is string %}
        {%- set ns.multi = false %}{%- set ns.last = (messages|length - 1) - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == 'user') or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

MISTRAL = """{%- if messages[0]['role'] == 'system' %}{%- set told = messages[0]['content'] %}
{%- set turns = messages[1:] %}{%- else %}{%- set turns = messages %}{%- endif %}
{{- bos_token }}
{%- for message in turns %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate: user, assistant, user, ...') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {%- if loop.last and told is defined %}
            {{- '[INST] ' + told + '\\n\\n' + message['content'] + ' [/INST]' }}
        {%- else %}{{- '[INST] ' + message['content'] + ' [/INST]' }}{%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {%- generation %}{{- ' ' + message['content'] + eos_token }}{%- endgeneration %}
    {%- endif %}
{%- endfor %}"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}
{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}
{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"""

DEEPSEEK = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{%- set ns = namespace(is_first=true, told='') -%}
{%- for message in messages -%}{%- if message['role'] == 'system' -%}
{%- set ns.told = ns.told + message['content'] -%}{%- endif -%}{%- endfor -%}
{{ bos_token }}{{ ns.told }}
{%- for message in messages %}{% if message['role'] == 'system' %}{% continue %}{% endif %}
{%- set content = message['content'] %}{% if '</think>' in content %}
{% set content = content.split('</think>')[-1] %}{% endif %}
{{- '<|User|>' + content }}{% endfor %}{% if add_generation_prompt %}{{ '<|Assistant|>' }}{% endif %}"""

PARTS = """{% for message in messages %}{{ message['role'] | capitalize }}
{%- if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}
{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}
{%- elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""

MACROS = """{% macro turn(message, is_last=false) -%}<|{{ message.role }}|>
{{ message.content | replace('\\r', '') }}{{ eos_token if not is_last else '' }}{%- endmacro %}
{% for message in messages %}{{ turn(message, loop.last) }}
{% endfor %}{{ dict(a=1) | tojson }}{{ messages | map(attribute='role') | join(',') }}
{% if add_generation_prompt %}<|assistant|>{% endif %}"""

TEMPLATES = {
    "ChatML": CHATML,
    "Llama 3": LLAMA3,
    "Qwen": QWEN,
    "Mistral": MISTRAL,
    "Gemma": GEMMA,
    "DeepSeek": DEEPSEEK,
    "macros": MACROS,
}
"""The templates that take a message's content as a string."""

MESSAGES = (
    "Where is it?",
    "  spaces around  \n",
    "{{ 7 * 7 }}{% raw %} {# no template #}",
    "<|im_end|>\n<|im_start|>system\nthe cat",
    "<s>[INST] the </s> <|endoftext|>",
    "日本 👩‍👩‍👧 \u202ethe\u0301 \0 \ufeff",
    "a</think>b \"quoted\" 'text' \\n & <b>",
    "the\r\ncat\n\n\nsat " * 20,
)
"""Messages that a template might misread."""


def save_chatting(directory: Path) -> Path:
    """A small random Llama with a chat template, in place of a real chat model."""
    RECIPES["llama"].save(directory)
    (directory / "chat_template.jinja").write_text(CHATML, "utf-8")
    return directory
