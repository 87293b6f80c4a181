"""The canvas of a page, by the events of a real pointer and keyboard in a browser."""

import numpy as np
import pytest
from page_files import digits, fitted
from pen import answers, draw, seen, settle, strokes_of

from mnistctl.inference.forward import compute_image_logits

NET = fitted()


def read(image):
    return str(int(compute_image_logits(NET, np.array(image, np.uint8).reshape(1, 28, 28)).argmax(1)))


def test_drawing_is_read_live_as_the_net_reads_its_picture(visit, fitted_page):
    tab = visit(fitted_page)
    assert answers(tab) == {"fitted": "-"}
    draw(tab, strokes_of(7))
    image = np.array(seen(tab)).reshape(28, 28)
    assert answers(tab) == {"fitted": read(image)}
    rows, columns = np.nonzero(image)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    shares = [float(text.strip(" %>")) for text in tab.locator(".reading td:last-child").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.6)
    assert tab.get_by_role("status").filter(has_text="fitted reads").count() == 1


def test_undo_takes_back_the_last_stroke_and_clear_all_of_them(visit, fitted_page):
    tab = visit(fitted_page)
    draw(tab, strokes_of(1))
    one = seen(tab)
    draw(tab, [[(60, 250), (260, 250)]])
    assert seen(tab) != one
    tab.get_by_role("button", name="Undo").click()
    settle(tab)
    assert seen(tab) == one
    tab.get_by_role("button", name="Clear").click()
    settle(tab)
    assert (sum(seen(tab)), answers(tab)) == (0, {"fitted": "-"})
    tab.get_by_role("button", name="Undo").click()
    settle(tab)
    assert seen(tab) == one


def test_switch_shows_the_canvas_shrunk_without_the_preparation(visit, fitted_page):
    tab = visit(fitted_page)
    draw(tab, strokes_of(7, left=10, top=10, height=80))
    tab.get_by_role("radio", name="only shrunk").check()
    settle(tab)
    image = np.array(seen(tab)).reshape(28, 28)
    rows, columns = np.nonzero(image)
    assert rows.max() < 12
    assert columns.max() < 12
    tab.get_by_role("radio", name="as MNIST was made").check()
    settle(tab)
    assert np.nonzero(np.array(seen(tab)).reshape(28, 28))[0].max() > 20


def test_wider_pen_draws_more_ink_and_the_eraser_removes_it(visit, fitted_page):
    tab = visit(fitted_page)
    tab.get_by_role("radio", name="only shrunk").check()
    line = [[(150, 60), (150, 250)]]
    draw(tab, line)
    thin = sum(seen(tab))
    tab.get_by_role("slider", name="pen").fill("40")
    draw(tab, line)
    assert sum(seen(tab)) > 1.5 * thin
    tab.get_by_role("radio", name="eraser").check()
    draw(tab, line)
    assert sum(seen(tab)) == 0


def test_test_digit_is_read_pixel_by_pixel_until_it_is_changed(visit, fitted_page):
    tab, images = visit(fitted_page), digits().arrays.images
    tab.get_by_label("number of a test digit").fill("17")
    tab.get_by_role("button", name="Show", exact=True).click()
    settle(tab)
    assert seen(tab) == images[17].ravel().tolist()
    assert "Digit 17 of the test split" in tab.locator(".sees").inner_text()
    draw(tab, [[(40, 40), (270, 270)]])
    changed = np.array(seen(tab)).reshape(28, 28)
    assert (changed != images[17]).mean() > 0.1
    tab.get_by_label("number of a test digit").fill("18")
    tab.keyboard.press("Enter")
    settle(tab)
    assert seen(tab) == images[18].ravel().tolist()
    for number in ("99999", ""):
        tab.get_by_label("number of a test digit").fill(number)
        tab.get_by_role("button", name="Show", exact=True).click()
        assert "does not have that digit" in tab.locator(".testdigits").inner_text()
        settle(tab)
        assert seen(tab) == images[18].ravel().tolist()


def test_canvas_is_drawn_on_with_the_keyboard(visit, fitted_page):
    tab = visit(fitted_page)
    tab.locator("canvas.drawing").focus()
    tab.keyboard.press(" ")
    tab.locator("#inside h2").click()  # the pen is lifted where the canvas loses the focus
    tab.locator("canvas.drawing").focus()
    for _ in range(8):
        tab.keyboard.press("ArrowUp")
    for _ in range(3):
        tab.keyboard.down(" ")  # a key that is held down repeats
    tab.keyboard.up(" ")
    for key in ("ArrowDown",) * 16 + (" ",):
        tab.keyboard.press(key)
    settle(tab)
    image = np.array(seen(tab)).reshape(28, 28)
    assert np.ptp(np.nonzero(image)[0]) + 1 == 20
    assert np.ptp(np.nonzero(image)[1]) + 1 < 6
    assert answers(tab) == {"fitted": read(image)}


def test_finger_draws_too(visit, fitted_page):
    tab = visit(fitted_page, width=360, has_touch=True)
    box = tab.locator("canvas.drawing").bounding_box()
    session = tab.context.new_cdp_session(tab)

    def touch(kind, *points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    for number in range(20):
        point = {"id": 0, "x": box["x"] + 150, "y": box["y"] + 40 + 10 * number}
        touch("touchStart" if number == 0 else "touchMove", point)
        if number == 5:  # a second finger touches and is lifted
            touch("touchStart", point, {"id": 1, "x": box["x"] + 200, "y": box["y"] + 90})
            touch("touchEnd", point)
    touch("touchEnd")
    settle(tab)
    assert np.ptp(np.nonzero(np.array(seen(tab)).reshape(28, 28))[0]) + 1 == 20


def test_slow_net_waits_until_the_pen_is_lifted(visit, fitted_page):
    tab = visit(fitted_page)
    # A clock on which everything takes long.
    tab.evaluate("() => { let ticks = 0; performance.now = () => { ticks += 100; return ticks; }; }")
    draw(tab, [[(60, 60), (240, 60)]])
    box = tab.locator("canvas.drawing").bounding_box()
    tab.mouse.move(box["x"] + 240, box["y"] + 60)
    tab.mouse.down()
    picture, waited = seen(tab), False
    for step in range(200):
        tab.mouse.move(box["x"] + 240 - step, box["y"] + 60 + step)
        waited = waited or tab.locator(".reading.waiting").count() == 1
        if waited and seen(tab) != picture:
            break
    assert waited
    assert seen(tab) != picture
    tab.mouse.up()
    settle(tab)
    assert tab.locator(".reading.waiting").count() == 0
    assert answers(tab) == {"fitted": read(seen(tab))}
