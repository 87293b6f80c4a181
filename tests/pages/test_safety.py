"""What a page does not do: run text of its data, run a script that was injected, or send a request."""

import pytest
from page_files import Record, classifier_page, fitted, generator_page
from pen import draw, strokes_of

HOSTILE = (
    "</script><script>window.hit=1</script>",
    "<img src=x onerror='window.hit=1'>",
    '"><svg/onload=window.hit=1>',
    "\u2028javascript:window.hit=1//\u202e",
)
RECORD = {
    "command": f"mnistctl train {HOSTILE[1]}",
    "recipe": {"epochs": 1, "optimizer": HOSTILE[0], "lr_schedule": [0.1]},
    "losses": [1.0],
    "test_losses": [1.0],
    "accuracies": [90.0],
    HOSTILE[2]: HOSTILE[3],
    "resumed": [{"after": HOSTILE[1]}],
}


SCRIPT = "document.body.append(Object.assign(document.createElement('script'),"


def visit_every_part(tab):
    """Use each control of a page of classifiers once."""
    draw(tab, strokes_of(3))
    for part in ("inside", "results", "digits", "training"):
        tab.locator(f"nav a[href='#{part}']").click()
    tab.get_by_role("checkbox", name="every layer").check()
    for select in tab.locator("select").all():
        select.select_option(index=1)
    tab.locator(".confusion button").first.click()
    tab.locator(".card").first.click()
    tab.get_by_role("button", name="Put it on the canvas").click()
    for summary in tab.locator("summary").all():
        summary.click()


def test_hostile_names_are_shown_as_text_and_nothing_is_requested(visit):
    nets = dict.fromkeys(HOSTILE[:2])
    nets = {name: fitted(100 + 50 * n) for n, name in enumerate(nets)}
    page, _ = classifier_page(nets, records=[Record(RECORD)] * 2)
    tab = visit(page)
    visit_every_part(tab)
    assert tab.evaluate("window.hit") is None
    assert tab.locator("img, iframe, object, embed, main script").count() == 0
    shown = tab.locator("body").inner_text()
    for text in (*HOSTILE[:2], RECORD["command"]):
        assert text in shown
    assert tab.locator("h3", has_text=HOSTILE[0]).count() >= 1
    own = tab.url.split("#")[0]
    assert {request.split("#")[0] for request in tab.requests} == {own}
    assert own.startswith("file://")
    assert tab.errors == []


def test_hostile_name_of_a_generator_is_shown_as_text(visit):
    page, _ = generator_page(name=HOSTILE[0])
    tab = visit(page)
    assert tab.locator("h1").inner_text() == HOSTILE[0]
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="Save as PNG").first.click()
    assert "/" not in saved.value.suggested_filename
    assert tab.evaluate("window.hit") is None
    assert {request.split(":")[0] for request in tab.requests} <= {"file", "blob"}
    assert tab.errors == []


@pytest.mark.parametrize(
    "injection",
    [
        f"{SCRIPT} {{ text: 'window.hit = 1' }}))",
        "document.body.innerHTML += '<img src=x onerror=\"window.hit = 1\">'",
        "document.body.setAttribute('onclick', 'window.hit = 1'), document.body.click()",
        f"{SCRIPT} {{ src: 'data:,window.hit=1' }}))",
    ],
)
def test_policy_blocks_an_injected_script(visit, fitted_page, injection):
    tab = visit(fitted_page)
    tab.evaluate(f"() => {{ {injection} }}")
    tab.wait_for_timeout(100)
    assert tab.evaluate("window.hit") is None
    assert any("Content Security Policy" in error for error in tab.errors)


@pytest.mark.parametrize(
    "request_",
    [
        "fetch('https://example.org/')",
        "new Promise((done) => Object.assign(new Image(), { onerror: done, src: 'https://example.org/' }))",
        "Promise.resolve(navigator.sendBeacon('https://example.org/', 'a'))",
    ],
)
def test_policy_blocks_a_request(visit, fitted_page, request_):
    tab = visit(fitted_page)
    failed = []
    tab.on("response", lambda response: failed.append(response.url))
    tab.evaluate(f"() => {request_}.catch(() => null)")
    tab.wait_for_timeout(100)
    assert any("Content Security Policy" in error for error in tab.errors)
    assert failed == []
