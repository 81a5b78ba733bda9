"""A chat template runs in a sandbox: what it may not do is an error that says so."""

from datetime import datetime
from pathlib import Path

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.tokens.chat import rendering
from attn_cli.models.tokens.chat.rendering import write_chat
from attn_cli.models.tokens.chat.template import ChatTemplate

USER = {"role": "user", "content": "the cat"}
SYSTEM = {"role": "system", "content": "Be brief."}
CONTENT = "{{ messages[-1]['content'] }}"
REPAIR = "download the model again, or leave out --chat"
DISTRUST = "a model whose authors you trust, or leave out --chat"


def text(source: str, **variables: str) -> str:
    return write_chat(ChatTemplate(source, variables), [SYSTEM, USER], "small").text


def problem(source: str, *messages: dict[str, str]) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        write_chat(ChatTemplate(source, {}), messages or [USER], "small")
    assert caught.value.status == 1
    return caught.value.problem, caught.value.hint


FORBIDDEN = {
    "{{ ''.__class__.__mro__ }}": "access to the attribute '__class__' of a 'str'",
    "{{ messages.__class__ }}": "access to the attribute '__class__' of a 'list'",
    "{{ ''|attr('__class__') }}": "access to the attribute '__class__' of a 'str'",
    "{{ [1]|map('attr', '__class__')|list }}": "access to the attribute '__class__' of a 'int'",
    "{{ '{0.__class__}'.format(1) }}": "access to the attribute '__class__' of a 'int'",
    "{{ lipsum.__globals__ }}": "access to the attribute '__globals__' of a 'function'",
    "{{ cycler.__init__.__globals__.os.popen('id') }}": "access to the attribute '__init__' of a 'type'",
    "{{ self.__init__ }}": "access to the attribute '__init__' of a 'TemplateReference'",
    "{{ raise_exception.__globals__ }}": "access to the attribute '__globals__' of a 'function'",
    "{{ namespace.__init__ }}": "access to the attribute '__init__' of a 'type'",
    "{{ dict.__call__.__func__ }}": "access to the attribute '__call__' of a 'PlainDict'",
    "{{ namespace(_x=1) }}": "a namespace has no attribute '_x'",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}": "a namespace has no attribute '__class__'",
    "{{ messages.append(1) }}": "access to the attribute 'append' of a 'list'",
    "{{ messages[0].update(role='system') }}": "access to the attribute 'update' of a 'dict'",
    "{{ range(10**9) }}": "a range of more than 100,000 numbers",
}


@pytest.mark.parametrize("source", FORBIDDEN)
def test_what_the_sandbox_forbids_is_named(source: str) -> None:
    sentence = f"the chat template of small tries what its sandbox forbids: {FORBIDDEN[source]}"
    assert problem(source + CONTENT) == (sentence, DISTRUST)


GREEDY = (
    "{{ 'a' * 10**10 }}",
    "{{ 'a'|center(10**10) }}",
    "{{ '%10000000000d' % 1 }}",
    "{{ '{:>10000000000}'.format(1) }}",
    "{{ ([0] * 10**10)|length }}",
    "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
)


@pytest.mark.parametrize("source", GREEDY)
def test_a_template_that_needs_gigabytes_is_stopped(source: str) -> None:
    sentence = "the chat template of small was stopped: it needs more than 1 GB of memory"
    assert problem(source + CONTENT) == (sentence, DISTRUST)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 10 ** (10 ** 10) % 7 }}",
    ],
)
def test_a_template_that_does_not_end_is_stopped(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 1)
    sentence = "the chat template of small was stopped: it runs for more than 5 seconds"
    assert problem(source + CONTENT) == (sentence, DISTRUST)


def test_a_template_that_the_system_cannot_stop_is_waited_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "_PATIENCE", 0.01)
    sentence = "the chat template of small was stopped: it runs for more than 5 seconds"
    assert problem(CONTENT) == (sentence, DISTRUST)


def test_a_template_may_write_a_million_characters_more_than_its_messages() -> None:
    most = rendering.LONGEST + 4 * len(USER["content"])
    assert most == 1_000_028
    whole = "{% for i in range(1000) %}" + "x" * 1000 + "{% endfor %}"
    assert len(text(whole)) == 10**6
    sentence = "the chat template of small was stopped: it writes more than 1,000,028 characters"
    assert problem(whole + "x" * 29) == (sentence, DISTRUST)


def test_a_long_message_fits() -> None:
    messages = [{"role": "user", "content": "日本🙂 " * 10**6}]
    written = write_chat(ChatTemplate(f"<{CONTENT}>", {}), messages, "small").text
    assert written == f"<{messages[0]['content']}>"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% if %}", "is not valid: line 1: Expected an expression, got 'end of statement block'"),
        ("a\n{{", "is not valid: line 2: unexpected 'end of template'"),
        ("{% debug %}", "is not valid: line 1: Encountered unknown tag 'debug'"),
        ("{% import 'os' as os %}", "fails: no loader for this environment specified"),
        ("{% include '/etc/passwd' %}", "fails: no loader for this environment specified"),
        ("{{ x.y.z }}", "fails: 'x' is undefined"),
        ("{{ open('/etc/passwd') }}", "fails: 'open' is undefined"),
        ("{{ 1 / 0 }}", "fails: division by zero"),
        ("{{ 2.0 ** 9999 }}", "fails: (34, 'Numerical result out of range')"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "fails: maximum recursion depth exceeded"),
        ("", "writes no text"),
        (" \n", "writes no text"),
        ("{{ '\\ud800' }}", "writes a text that is not UTF-8: character 0 is '\\ud800'"),
    ],
)
def test_a_template_that_cannot_be_run_says_why(source: str, expected: str) -> None:
    assert problem(source) == (f"the chat template of small {expected}", REPAIR)


def test_nothing_deep_ends_in_a_crash() -> None:
    for source in ("{{ " + "(" * 9999 + "1" + ")" * 9999 + " }}", "{{ " + "-" * 99999 + "1 }}"):
        assert problem(source)[0].startswith("the chat template of small fails: maximum recursion depth")


def test_what_a_template_says_of_the_messages_is_passed_on() -> None:
    source = "{{ raise_exception('No  system\nmessage, please.') }}"
    sentence = "the chat template of small refuses the messages: No system message, please"
    assert problem(source) == (sentence, "leave out --chat")
    assert problem(source, SYSTEM, USER) == (sentence, "leave out --system")


def test_no_file_can_be_opened() -> None:
    assert "Too many open files" in problem("{{ 'x'.encode('idna') }}" + CONTENT)[0]


def test_no_module_of_the_working_directory_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('it ran')")
    (tmp_path / "jinja2.py").write_text("raise SystemExit('it ran')")
    monkeypatch.chdir(tmp_path)
    assert text(CONTENT) == "the cat"


def test_rules_are_those_of_transformers() -> None:
    assert text("  {% if true %}\n  a\n  {% endif %}\nb\n") == "  a\nb"
    assert text("{{ {'é': '<'} | tojson }}{{ [1] | tojson(indent=1) }}") == '{"é": "<"}[\n 1\n]'
    assert text("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"
    assert text("{{ tools is none and documents is none and add_generation_prompt }}") == "True"
    assert text("{{ bos_token }}{{ eos_token }}|", bos_token="<s>") == "<s>|"
    assert text("{{ strftime_now('%Y') }}") in {str(datetime.now().year + late) for late in (0, -1)}  # noqa: DTZ005
    assert text("{% generation %}{{ 'a' }}{% endgeneration %}") == "a"
    assert text("{{ dict(a=1).a }}{{ dict.fromkeys(['b'], 2).b }}{{ namespace(self=3).self }}") == "123"
    assert text("<b>&{{ '<' }}") == "<b>&<"


def test_filters_that_import_late_work_without_files() -> None:
    source = "{{ 'a b'|wordwrap(1) }}{{ [1]|pprint }}{{ '<b>&amp;'|striptags }}{{ lipsum(1)|length > 9 }}"
    assert text(source) == "a\nb[1]&True"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (CONTENT, "the cat"),
        ("{{ messages[-1]['content']|upper }}", "THE CAT"),
        ("{{ messages[-1]['content']|tojson }}", '"the cat"'),
        ("{{ messages[-1]['content'][0].text }}", "the cat"),
        ("{% for part in messages[-1].content %}{{ part['text'] }}{% endfor %}", "the cat"),
        ("{{ messages[-1]['content']|replace('c', 'h') }}", "the hat"),
    ],
)
def test_contents_are_lists_only_if_strings_are_left_out(source: str, expected: str) -> None:
    assert text(source) == expected
