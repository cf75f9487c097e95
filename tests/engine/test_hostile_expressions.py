"""Expressions that try to get out, or to hold the worker."""

import sys
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.workflows.engine.errors import ExpressionError
from apps.workflows.engine.expressions import MAX_LENGTH, compile_expression

MOST_SECONDS = 5  # of the processor; 0.4 on a machine that does nothing else, while an unbounded one takes ten
LIST = list(range(1_000))
SCOPE: dict[str, Any] = {
    "inputs": {
        "list": LIST,
        "half": LIST[:500],
        "third": LIST[:333],
        "short": LIST[:100],
        "text": "a" * 100_000,
        "many": {f"k{n}": n for n in LIST},
        "nulls": [None] * 150_000,
        "json": "[" * 1_000 + "]" * 1_000,
        "n": 1,
    },
    "context": {},
    "nodes": {},
    "run": {"id": "r", "started_at": "2026-01-01T00:00:00Z"},
}

# What breaks out of sandboxes elsewhere: Python, JavaScript, Java, templates, shells, other dialects of CEL.
ESCAPES = """
__import__('os').system('id')
__import__("subprocess").check_output("id")
().__class__.__bases__[0].__subclasses__()
''.__class__.__mro__[1].__subclasses__()
[].__class__.__base__.__subclasses__()[40]('/etc/passwd').read()
{}.__class__
inputs.__class__
inputs.__class__.__init__.__globals__
inputs.list.__len__()
inputs.__dict__
inputs.__getattribute__('x')
context.__init__.__globals__['__builtins__']
run.__class__.__mro__
nodes.__reduce__()
(1).__class__
1.0.__class__
true.__class__
null.__class__
"".format(inputs)
"{0.__class__}".format(inputs)
'%s' % inputs
f"{inputs}"
eval("1+1")
exec("import os")
compile("1", "", "eval")
open("/etc/passwd").read()
globals()
locals()
vars()
dir()
getattr(inputs, "__class__")
setattr(inputs, "a", 1)
lambda: 1
lambda x: x
(lambda: __import__('os'))()
[x for x in [1]]
{x: x for x in [1]}
(x for x in [1])
import os
from os import system
print(1)
input()
exit()
quit()
breakpoint()
help()
type(inputs).mro()
type("X", (), {})
object.__subclasses__()
os.system("id")
sys.modules
sys.exit()
builtins.eval("1")
inputs := 1
inputs = 1
inputs.n = 5
inputs["n"] = 5
del inputs
raise Exception()
assert false
while true: 1
for x in [1]: x
yield 1
await x
async def f(): pass
def f(): pass
class X: pass
@decorator
constructor.constructor("return process")()
this.constructor.constructor("return process")()
inputs.constructor
inputs.constructor.prototype
inputs.__proto__
inputs["__proto__"]["polluted"]
inputs.toString()
process.mainModule.require('child_process')
require('child_process').execSync('id')
global.process
window.location
document.cookie
new Function("return 1")()
Function("return 1")()
() => 1
function(){ return 1 }
`id`
$(id)
${7*7}
#{7*7}
<%= 7*7 %>
{% import os %}
{{ 7*7 }}
{{ self.__init__.__globals__ }}
T(java.lang.Runtime).getRuntime().exec("id")
java.lang.Runtime.getRuntime()
#this.getClass()
Runtime.exec("id")
google.protobuf.Any{type_url: "x"}
google.protobuf.Value{string_value: "x"}
google.protobuf.Struct{fields: {}}
google.api.expr.v1alpha1.Expr{}
cel.expr.Expr{}
cel.bind(x, 1, x)
cel.block([1], index(0))
proto.getExt(inputs, x)
.inputs
..inputs
inputs..n
inputs.?
inputs[?]
inputs[
inputs.n; inputs.n
inputs.n, inputs.n
1 # comment
1 -- comment
1 /* comment */
' OR '1'='1
'; DROP TABLE runs; --
../../etc/passwd
file:///etc/passwd
http://169.254.169.254/
|| curl evil
; cat /etc/passwd
& id
%00
\\x00
\\u0000
type(type(type(inputs)))
dyn(dyn(dyn(inputs.constructor)))
[1][1]
[1][-1]
[1][9223372036854775807]
{"a": 1}["b"]
bytes("x")
uint(-1)
string(b"\\xff")
int("999999999999999999999")
double("inf")
double("nan")
timestamp("9999-12-31T23:59:59Z") + duration("87600h")
timestamp(9223372036854775807)
duration("9999999999999h")
-9223372036854775808 / -1
9223372036854775808
1e999
optional.of(1).value().value()
optional.none().value()
inputs.list.map(x, inputs.list.map(y, y)).constructor
has(inputs)
has(inputs.list[0])
all(inputs.list, x, true)
inputs.list.all(inputs.x, true)
inputs.list.map(1, 1)
inputs.list.map(x.y, 1)
inputs.list.exists_one(__x__, true)
@result
__result__
@c:0:1
""".strip().splitlines()

PLAIN = (bool, int, float, str, list, dict, type(None))


def outcome(text: str) -> Any:
    """The value or the error; fails when it costs too much of the processor, three times in a row."""
    for _ in range(3):
        compile_expression.cache_clear()
        began = time.thread_time()
        try:
            found = compile_expression(text).evaluate(SCOPE)
        except ExpressionError as error:
            found = error
        if time.thread_time() - began < MOST_SECONDS:
            return found
    pytest.fail(f"took more than {MOST_SECONDS} s: {text[:80]}")


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Compiles once, so that no test pays for making the environment."""
    compile_expression("1 + 1").evaluate(SCOPE)


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_but_json_comes_out(text: str) -> None:
    found = outcome(text)

    assert isinstance(found, (*PLAIN, ExpressionError))
    shown = found.message if isinstance(found, ExpressionError) else repr(found)
    assert not any(leak in shown for leak in ("root:", "<class", "<function", "<module", "uid="))


def test_the_corpus_is_large() -> None:
    assert len(set(ESCAPES)) >= 100


@pytest.mark.parametrize(
    "text",
    [
        "inputs.list.map(a, inputs.list.map(b, inputs.list.map(c, c)))",
        "inputs.half.map(a, inputs.half.map(b, b)).size()",
        "inputs.half.filter(a, inputs.half.exists(b, b == -a)).size()",
        "inputs.third.map(a, inputs.third.map(b, inputs.third.map(c, c))).size()",
        "inputs.third.all(a, inputs.third.all(b, inputs.third.all(c, true)))",
        "inputs.list.map(a, a).map(a, a).map(a, a).map(a, a)",
        "inputs.list.map(a, [a, a, a, a]).map(a, [a, a, a]).map(a, [a, a])",
        "inputs.list.map(a, {string(a): a}).filter(a, a.size() == 1).size()",
        "inputs.many.map(a, inputs.many[a]).size()",
        "[inputs.nulls, inputs.nulls, inputs.nulls]",
        'inputs.list.map(a, timestamp(a) + duration("1s"))',
        "inputs.short.map(a, inputs.short.map(b, inputs.short.map(c, c)))",
        "inputs.short.map(a, inputs.short.map(b, inputs.short.map(c, inputs.short.map(d, d))))",
        "inputs.list.filter(a, inputs.list.exists(b, b == a)).size()",
        "inputs.list.all(a, inputs.list.all(b, inputs.list.all(c, true)))",
        "inputs.list.map(a, inputs.list)",
        "inputs.list.map(a, inputs.list).map(b, inputs.list)",
        "inputs.list.map(a, inputs.text)",
        "inputs.list.map(a, inputs.text + inputs.text).join()",
        "inputs.list.map(a, string(inputs.list.map(b, b))).join()",
        "(inputs.list + inputs.list + inputs.list + inputs.list).map(a, a)",
        "(inputs.list + inputs.list + inputs.list + inputs.list).map(a, inputs.list).size()",
        'inputs.text.split("").size()',
        'inputs.text.split("a").size()',
        'inputs.text.replace("a", inputs.text)',
        'inputs.text.replace("", inputs.text)',
        "json(inputs.list.map(a, inputs.list))",
        "parseJson(inputs.json)",
        "json(parseJson(inputs.json))",
        "parseJson(inputs.text)",
        'inputs.text.matches("^(a+)+$")',
        'inputs.text.matches("(a|aa)+b")',
        'inputs.text.matches("(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]")',
        'inputs.text.matches("((a{1,100}){1,100}){1,100}")',
        'inputs.text.matches("(?=a)a")',
        'inputs.text.matches("(" )',
        "merge(inputs, merge(inputs, merge(inputs, inputs)))",
        " + ".join(["inputs.text"] * 100),
        " + ".join(["inputs.list"] * 100),
        " + ".join(["json(inputs)"] * 100),
        "[" + ",".join(["inputs.text"] * 200) + "]",
        "[" + ",".join(["inputs"] * 200) + "]",
        "(" * 1_900 + "1" + ")" * 1_900,
        "[" * 1_900 + "]" * 1_900,
        "{1:" * 900 + "1" + "}" * 900,
        "!" * 3_900 + "true",
        "-" * 3_900 + "1",
        "true ? 1 : " * 350 + "1",
        " && ".join(["true"] * 500),
        " || ".join(["inputs.n == 1"] * 200),
        "inputs" + ".a" * 1_900,
        "inputs" + "[0]" * 1_300,
        "inputs.list" + ".map(x, x)" * 300,
        "[0]" + ".map(x, [x, x])" * 4,
        "'" + "a" * 3_990 + "'",
        "a b " * 900,
        '"' * 3_999,
        "{" * 3_999,
        "\\" * 3_999,
        "1" * 3_999,
        "x" * 3_999,
    ],
)
def test_no_expression_holds_the_worker(text: str) -> None:
    outcome(text)


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=200)
    | st.text(alphabet="inputs.[](){}?:!&|+-*/%<>='\"\\ \n012xyzaeb,_@", max_size=MAX_LENGTH // 10)
)
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    assert isinstance(outcome(text), (*PLAIN, ExpressionError))


def test_a_value_that_shares_its_parts_is_bounded_by_what_it_stands_for() -> None:
    error = outcome("[0].map(a, inputs).map(b, [b, b, b, b, b, b, b, b]).map(c, [c, c, c, c, c, c, c, c])")

    assert isinstance(error, ExpressionError)
    assert error.code == "expression_too_large"


def test_an_expression_sees_no_more_than_it_reads() -> None:
    large = {"inputs": {"small": 1, "large": ["x"] * 500_000}, "context": {}, "nodes": {}, "run": {}}

    assert compile_expression("inputs.small + 1").evaluate(large) == 2


def test_an_expression_may_not_see_more_than_a_megabyte() -> None:
    with pytest.raises(ExpressionError, match="reads 2,000,") as caught:
        compile_expression("inputs.large.size()").evaluate({"inputs": {"large": "x" * 2_000_000}})

    assert caught.value.code == "expression_too_large"


@pytest.mark.parametrize(
    "text",
    [
        "inputs.items.map(x, inputs.text)",
        "json(inputs.items.map(x, inputs.text)).size()",
        "[0].map(x, inputs.text).map(x, [x, x, x, x, x]).map(x, [x, x, x, x, x])",
        'inputs.items.map(x, "a").join(inputs.text)',
        'inputs.items.map(x, inputs.text.replace("a", inputs.text))',
        "[" + ", ".join(["inputs.text"] * 100) + "]",
    ],
)
def test_what_would_become_too_large_is_refused_before_it_is_made(text: str) -> None:
    scope = {"inputs": {"items": list(range(900)), "text": "a" * 900_000}}
    tracemalloc.start()

    with pytest.raises(ExpressionError) as caught:
        compile_expression(text).evaluate(scope)

    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert caught.value.code == "expression_too_large"


@pytest.mark.parametrize(
    "text",
    [
        "inputs.items.filter(x, x.price > inputs.least).size()",
        'inputs.items.map(x, {"a": x.a, "b": x.b, "c": x.c, "d": x.d, "e": x.e, "price": x.price})',
        "inputs.items.filter(x, x.price > inputs.least).map(x, x.a).join()",
        "inputs.items.exists(x, x.a == inputs.items[0].a)",
        '"There are " + string(inputs.items.size()) + " items"',
    ],
)
def test_everyday_expressions_over_half_a_megabyte_work(text: str) -> None:
    item = {"a": "a" * 100, "b": "b" * 100, "c": "c" * 100, "d": "d" * 100, "e": "e" * 100, "price": 5}
    scope = {"inputs": {"items": [item] * 900, "least": 3}}

    assert compile_expression(text).evaluate(scope)


def test_null_can_be_handed_out_for_ever() -> None:
    nulls = compile_expression("[inputs.nulls, inputs.nulls]")

    for _ in range(10):
        assert nulls.evaluate(SCOPE)[1][-1] is None

    assert sys.getrefcount(None) > 1_000_000
