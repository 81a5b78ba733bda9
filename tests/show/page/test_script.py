"""The script of the page: modules that import only those above them, small, without libraries."""

import re
from pathlib import Path

import pytest

import attn_cli.show.page
from attn_cli.show.page.compact import for_machines, parts
from attn_cli.show.page.script import as_constants, names_of, whole_script

FOLDER = Path(attn_cli.show.page.__file__).parent / "script"
MODULES = sorted(FOLDER.rglob("*.js"))
_MOST_BYTES = 60_000


def test_every_module_is_in_the_script_once_after_those_that_it_imports() -> None:
    named = [module for module in MODULES if module.stem != "main"]
    begins = "|".join(map(first_name, named))
    order = re.findall(rf"(?:function ({begins})\(|\b({begins})=(?!=))", whole_script())
    order = [one or other for one, other in order]
    assert sorted(order) == sorted(map(first_name, named))
    for module in named:
        assert all(
            order.index(first_name(needed)) < order.index(first_name(module)) for needed in imports(module)
        )


def first_name(module: Path) -> str:
    """The first function or constant of its own: by that it is found in the script."""
    own = re.search(
        r"^(?:export )?(?:async )?(?:function|const) (\w+)", module.read_text("utf-8"), re.MULTILINE
    )
    assert own
    return own[1]


def imports(module: Path) -> list[Path]:
    named = re.findall(r'^import .*"[./\w]*/(\w+)\.js"', module.read_text("utf-8"), re.MULTILINE)
    return [next(one for one in MODULES if one.stem == name) for name in named]


def test_no_two_modules_share_a_name_for_they_share_a_scope() -> None:
    names = [name for module in MODULES for name in names_of(module.read_text("utf-8"))]
    assert sorted(names) == sorted(set(names))
    assert {"about", "map", "drawRow", "Recorder", "cellAt"} <= set(names)
    assert {"history", "location", "name", "event", "status", "top"}.isdisjoint(names)  # of the window


def test_no_import_and_no_export_is_left() -> None:
    assert re.findall(r"^\s*(?:import|export)\b.*", whole_script(), re.MULTILINE) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.stem))
def test_the_parts_of_a_module_are_the_whole_module(module: Path) -> None:
    source = module.read_text("utf-8")
    found = list(parts(source))
    assert "".join(part for _, part in found) == source
    assert {kind for kind, _ in found} == {"comment", "text", "code"}
    assert all(part.startswith(("//", "/*")) for kind, part in found if kind == "comment")
    assert re.findall(r"//|/\*|[\"'`]", "".join(part for kind, part in found if kind == "code")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("const a = b + c; // a sum, isn't it\nd();", "let a=b+c;d();"),
        ("/** a\n * b */\nfunction a() {}\nlet b = 1", "function a(){}let b=1"),
        ("f((a) => { a; b(); c = `${d}`; });", "f(a=>{a;b();c=`${d}`});"),
        ("f(async (a) => {}, '(b)=>c;', (a, b) => a)", "f(async a=>{},'(b)=>c;',(a,b)=>a)"),
        ("f(async (a, b) => a, c.async(d))", "f(async(a,b)=>a,c.async(d))"),
        ("a = [new Map(), new Set(b), new Map()]; c(new D());", "a=[new Map,new Set(b),new Map];c(new D);"),
        ("new A().b; new C()(); d = new E()[0]", "new A().b;new C()();d=new E()[0]"),
        (
            "a(undefined, b.undefined, {undefined: 1}); c = undefined",
            "a(void 0,b.undefined,{undefined:1});c=void 0",
        ),
        (
            "a = Number(b.c); d = 1 + Number(e); f(Number(...g), Number(h))",
            "a=+b.c;d=1+Number(e);f(Number(...g),+h)",
        ),
        (
            "a = Number(b).toFixed(2); c = Number(d) ** 2; e(Number(f)[0])",
            "a=Number(b).toFixed(2);c=Number(d)**2;e(Number(f)[0])",
        ),
        ("a[b] += 1; c += 10; d += 1.5; if (e) f += 1;", "a[b]++;c+=10;d+=1.5;if(e)f++;"),
        ("function a() { if (b) c(); else d(); } e();", "function a(){if(b)c();else d()}e();"),
        ("a = b - -c + +d - ++e;", "a=b- -c+ +d-++e;"),
        ("a = b + /* c */ +d; e = `f`\n`g`", "a=b+ +d;e=`f`\n`g`"),
        ("a = `${b}` \n+ c; return `d${[1, 2]}${e}` in f", "a=`${b}`\n+c;return`d${[1,2]}${e}`in f"),
        ('say("a, b // c", x);', 'say("a, b // c",x);'),
        ("return `a, ${b + c} d` + 'e, f';", "return`a, ${b+c} d`+'e, f';"),
        ("a = `b, ${c ? `d, ${e + {f: 1}.f} // ` : 1} }`;", "a=`b, ${c?`d, ${e+{f:1}.f} // `:1} }`;"),
        ("a = /b, [/ `] c/u.test(d) / e;", "a=/b, [/ `] c/u.test(d)/e;"),
        ("if(a)return /b  c/.test(d);", "if(a)return/b  c/.test(d);"),
        ("a = (b + 1) / c / d[0] / 2; e = '/';", "a=(b+1)/c/d[0]/2;e='/';"),
        ("for (const [a, b] of c) d in e;", "for(let[a,b]of c)d in e;"),
        ("const a = 1;\nlet b;\nconst c = (d) => { const e = 1; f(e); };", "let a=1,b,c=d=>{let e=1;f(e)};"),
        (
            "for (let a = 0; a < b; a += 1) { let c = 'const'; d.const = c; }",
            "for(let a=0;a<b;a++){let c='const';d.const=c}",
        ),
        ("a = b ? 0.5 : c[0].d + 10.25; e = '0.5';", "a=b?.5:c[0].d+10.25;e='0.5';"),
        ("a(true, 'false', b.true, {true: false})", "a(!0,'false',b.true,{true:!1})"),
        ("a\n(b)\nc = {\n  d,\n}\n", "a\n(b)\nc={d}"),
    ],
)
def test_only_what_readers_need_is_left_out(source: str, expected: str) -> None:
    assert for_machines(source) == expected


def test_no_module_reads_the_value_of_an_increment() -> None:
    """`a += 1` becomes `a++`, whose value is another one."""
    for module in MODULES:
        for line in re.findall(r".*\+= 1\b(?!\.).*", module.read_text("utf-8")):
            assert re.search(
                r"^ +(?:if \(.*\) |for \(.*\) )?[\w.\[\]()]+ \+= 1;$|for \(.*; \w+ \+= 1\)", line
            ), line


def test_functions_are_written_as_constants() -> None:
    source = "async function a({ b }, c = 1) {\n  if (b) {\n  }\n}\nfunction d() {\n  a();\n}\nclass E {\n}\n"
    assert for_machines(as_constants(source)) == "let a=async({b},c=1)=>{if(b){}},d=()=>{a()};class E{}"
    assert "function" not in whole_script()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.stem))
def test_no_statement_is_empty_for_the_last_semicolon_of_a_block_is_left_out(module: Path) -> None:
    source = for_machines(module.read_text("utf-8"))
    nested = r"\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)"
    assert re.findall(rf"\b(?:if|for|while){nested};|\b(?:else|do)(?:;|\}})", source) == []
    assert re.findall(rf"\b(?:if|for|while){nested}\}}", source) == []


def test_the_script_is_small() -> None:
    assert len(whole_script().encode()) <= _MOST_BYTES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.stem))
def test_text_is_never_markup(module: Path) -> None:
    source = module.read_text("utf-8")
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|fetch\(", source) == []
    )
    assert source.startswith("// ")


def test_every_module_says_what_it_is_for_in_the_description_of_the_page() -> None:
    description = attn_cli.show.page.__doc__ or ""
    assert [module.name for module in MODULES if f"`{module.name}`" not in description] == []


def test_no_folder_of_the_page_has_too_many_files() -> None:
    folders = {module.parent for module in MODULES}
    assert all(len(list(folder.glob("*.js"))) <= 15 for folder in folders)
