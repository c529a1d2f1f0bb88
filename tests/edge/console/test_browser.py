"""The console in a real browser, before a real device and a real broker: what people do with it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from contextlib import contextmanager, suppress

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementNotInteractableException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edge.config import CameraConfig, Config, GalleryConfig, HistoryConfig, MqttConfig, StrangersConfig
from edge.console.password import write_password
from edge.console.texts import DE
from edge.demo.film import Film
from edge.demo.story import portrait
from tests.household import Broker, Household, free_port, running, until
from tests.markdown import ROOT

pytestmark = pytest.mark.slow
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ANNA, OTTO = 0, 3
# Elements that stick out of the window, but for those that scroll within.
TOO_WIDE = """
return [...document.querySelectorAll("body *")].filter(one => one.getBoundingClientRect().right > 376)
    .map(one => one.tagName + " " + one.className + " " + one.textContent.slice(0, 60))
    .concat(document.documentElement.scrollWidth > 375 ? ["the page"] : []);
"""
PAGES = ("", "visits", "people", "strangers", "cameras", "settings")
SHOTS = ROOT / "runs" / "console"  # a screenshot of each page, to look at
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1280,900",
)  # fmt: skip
WHITE = "rgba(255, 255, 255, 1)"  # on a dark ground
SCRIPT_NAME = "<img src=x onerror=document.title='taken'>"


class Page:
    """A browser at one console."""

    def __init__(self, address, language="en"):
        if CHROMIUM is None or DRIVER is None:
            pytest.skip("chromium is not here: apt install chromium chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--lang={language}", f"--accept-lang={language}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.address = address

    def open(self, name):
        self.driver.get(f"{self.address}/{name}")
        until(lambda: self.driver.execute_script("return window.socket && window.socket.connected"))

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def shows(self, words):
        def found():
            with suppress(StaleElementReferenceException):
                return words in self.text

        until(found)

    def click(self, words, within=""):
        """Click the button with these words, in the card that has those words too."""
        card = f"//*[contains(@class, 'limen-card')][contains(., {within!r})]" if within else ""
        path = f"{card}//button[contains(., {words!r})]"

        def clicked():
            with suppress(WebDriverException):
                self.driver.find_element(By.XPATH, path).click()
                return True

        until(clicked)

    def write(self, label, text):
        def written():
            with suppress(ElementNotInteractableException):  # while its dialog opens
                field = next(iter(self.driver.find_elements(By.XPATH, f"//input[@aria-label={label!r}]")), None)
                if field is not None:
                    field.send_keys(text)
                return field

        return until(written)

    def label_of(self, selector):
        """In one step: what changes every second may be drawn anew between finding and reading it."""
        return self.driver.execute_script("return document.querySelector(arguments[0]).ariaLabel", selector)

    @property
    def focused_text(self):
        return self.driver.execute_script("return document.activeElement.innerText.trim()")

    def errors(self):
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def porch(tmp_path_factory):
    """A device that keeps visits, and the camera that people are sent to."""
    folder, film = tmp_path_factory.mktemp("console"), Film()
    with Broker(folder) as broker:
        config = Config(
            device="porch", clock="trusted", gallery=GalleryConfig(folder / "gallery.db"),
            history=HistoryConfig(keep_hours=24), strangers=StrangersConfig(keep_days=1),
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port, snapshot=True, health_every_seconds=1.0),
            camera=CameraConfig(privacy_zones=((0.5, 0.0, 0.25, 0.2),)),
        )  # fmt: skip
        with running(config, lambda: film), Household(broker.port) as household:
            until(lambda: household.newest("status") == b"online")
            household.film, household.broker = film, broker
            yield household


@pytest.fixture(scope="module")
def address(porch, tmp_path_factory):
    with served(porch, tmp_path_factory.mktemp("log") / "log", "-m", "edge", "console") as address:
        yield address


@contextmanager
def served(porch, log, *words):
    """A console in a process of its own; its address."""
    port = free_port()
    broker = f"127.0.0.1:{porch.broker.port}"
    words = [sys.executable, *words, "--no-show", "--port", str(port), "--broker", broker]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # NiceGUI asks
    with log.open("wb") as said:
        process = subprocess.Popen(words, stdout=said, stderr=said, env=environment)
    try:
        until(lambda: is_served(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert "Traceback" not in log.read_text()


def is_served(port):
    with suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200


@pytest.fixture(scope="module")
def page(address):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page = Page(address)
    yield page
    page.driver.quit()


def visit(porch, person, kind):
    """Somebody comes and goes."""
    before = len(porch.events())
    porch.film.send(person, first_look=1.0)
    porch.next_event(before, event_type=kind, phase="end")


def test_a_stranger_gets_a_name_by_a_click_and_is_recognized_at_the_next_visit(porch, page):
    page.open("visits")
    page.shows("No visits are kept yet.")
    visit(porch, ANNA, "unknown")
    page.click("New visits came")
    page.click("This is ...", within="Somebody unknown")
    page.write("Name", "Anna" + Keys.ENTER)
    page.shows("Anna is known now")
    visit(porch, ANNA, "recognized")
    page.open("visits")
    until(lambda: page.text.count("Not Anna") == 2)
    assert page.errors() == []


def test_a_picture_enrolls_somebody_whose_name_is_text_and_forgetting_gives_a_receipt(porch, page, tmp_path):
    picture = tmp_path / "otto.jpg"
    picture.write_bytes(portrait(OTTO, 2.0))
    page.open("people")
    page.click("Add a person")
    page.write("Name", SCRIPT_NAME)
    page.driver.find_element(By.XPATH, "//input[@type='file']").send_keys(str(picture))
    page.shows("otto.jpg")
    page.click("Save", within="Add a person")
    page.shows(SCRIPT_NAME)
    page.open("people")
    page.shows(SCRIPT_NAME)
    assert page.driver.title == "People - limen"
    until(lambda: page.driver.find_elements(By.XPATH, f'//img[@alt="{SCRIPT_NAME}"]'))  # who has not come yet
    page.click("Forget", within=SCRIPT_NAME[:10])
    page.click("Forget", within="cannot be undone")
    page.shows("Overwritten: templates 1, pictures 1")
    close = page.driver.find_element(By.CSS_SELECTOR, ".q-notification button")
    assert close.value_of_css_property("color") == WHITE
    until(lambda: SCRIPT_NAME not in page.text.replace("Forget " + SCRIPT_NAME, ""))
    assert not page.driver.find_elements(By.XPATH, f'//img[@alt="{SCRIPT_NAME}"]')
    people = porch.ask("person/list", {"transaction": "left"})["data"]["people"]
    assert [person["name"] for person in people] == ["Anna"]
    assert page.errors() == []


def focused(page):
    """What has the focus; after a redrawing it would be another element."""
    return page.driver.switch_to.active_element


def test_the_focus_and_what_is_typed_stay_while_a_visit_arrives(porch, page):
    page.open("visits")
    page.click("This is ...", within="Anna")
    field = page.write("Name", "An")
    visit(porch, OTTO, "unknown")
    page.shows("New visits came")
    assert (focused(page), field.get_attribute("value")) == (field, "An")
    field.send_keys(Keys.ESCAPE)
    card = page.driver.find_element(By.XPATH, "//*[contains(@class, 'limen-card')][contains(., 'Anna')]")
    page.click("New visits came")
    page.shows("Somebody unknown")
    assert "Anna" in card.text  # it was not drawn anew
    until(lambda: page.focused_text == "This is ...")
    for _ in range(3):  # the last of the cards
        focused(page).send_keys(Keys.TAB)
        while page.focused_text != "Delete":
            focused(page).send_keys(Keys.TAB)
    focused(page).send_keys(Keys.ENTER)
    until(lambda: page.text.count("Not Anna") == 1)
    until(lambda: page.focused_text == "This is ...")
    assert page.errors() == []


def test_what_has_the_focus_keeps_it_while_its_card_changes(porch, page):
    page.open("people")
    page.click("Rename", within="Anna")
    field = page.write("Name", "bel")
    assert porch.ask("person/set", {"transaction": "quiet", "name": "Anna", "notify": False})["status"] == "ok"
    page.shows("no notification")
    assert (focused(page), field.get_attribute("value")) == (field, "Annabel")
    field.send_keys(Keys.ESCAPE)
    porch.ask("person/set", {"transaction": "loud", "name": "Anna", "notify": True})
    page.open("settings")
    switch = page.driver.find_element(By.XPATH, "//*[@role='switch']")
    for state in ("false", "true"):
        switch.send_keys(Keys.SPACE)
        until(lambda state=state: json.loads(porch.newest("config"))["recognition"] is (state == "true"))
        assert (focused(page), switch.get_attribute("aria-checked")) == (switch, state)
    page.open("cameras")
    button = page.driver.find_element(By.XPATH, "//button[contains(., 'Look through')]")
    page.driver.execute_script("arguments[0].focus()", button)
    until(lambda: page.driver.find_elements(By.TAG_NAME, "polyline"))
    assert focused(page) == button
    assert page.label_of(".limen-course").startswith("Frames per second: lowest")
    button.send_keys(Keys.ENTER)
    page.shows("1 privacy zone")
    zone, picture = (
        page.driver.find_element(By.CSS_SELECTOR, f".limen-snapshot {one}") for one in (".limen-zone", "img")
    )

    dialog = page.driver.find_element(By.CLASS_NAME, "limen-dialog")

    def is_in_its_place():  # once the dialog has opened
        inner, outer = zone.rect, picture.rect
        wide, high = outer["width"], outer["height"]
        place = (inner["x"] - outer["x"], inner["y"] - outer["y"], inner["width"], inner["height"])
        within = wide < dialog.rect["width"]
        return within and wide > 300 and place == pytest.approx((wide / 2, 0, wide / 4, high / 5), abs=1)

    until(is_in_its_place)
    page.driver.save_screenshot(str(SHOTS / "snapshot.png"))
    assert page.errors() == []


def test_a_refusal_is_said_and_nothing_is_enrolled(porch, page, tmp_path):
    wall = tmp_path / "wall.png"
    wall.write_bytes(base64.b64decode(PIXEL))
    page.open("people")
    page.click("Add a person")
    page.write("Name", "Wall")
    page.driver.find_element(By.XPATH, "//input[@type='file']").send_keys(str(wall))
    page.shows("wall.png")
    choose = page.driver.find_element(By.XPATH, "//*[contains(@class, 'q-uploader')]//button")
    assert (choose.accessible_name, choose.value_of_css_property("color")) == ("Picture with one face", WHITE)
    page.driver.execute_script("HTMLInputElement.prototype.click = () => { window.chooses = true }")
    choose.click()
    assert page.driver.execute_script("return window.chooses")
    page.driver.execute_script("arguments[0].focus()", choose)
    assert porch.ask("person/set", {"transaction": "still", "name": "Anna", "notify": False})["status"] == "ok"
    page.shows("no notification")
    assert focused(page) == choose  # while the page below it changes
    porch.ask("person/set", {"transaction": "and loud", "name": "Anna", "notify": True})
    page.click("Save", within="Add a person")
    page.shows("no_face")


def test_every_page_loads_without_an_error_and_fits_a_phone(page):
    for name in PAGES:
        page.open(name)
        page.shows("porch" if name in {"", "cameras", "settings"} else "limen")
        assert page.driver.find_elements(By.XPATH, "//nav//a[@aria-current='page']")
        page.driver.save_screenshot(str(SHOTS / f"{name or 'now'}.png"))
    metrics = {"width": 375, "height": 812, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for name in PAGES:
        page.open(name)
        assert page.driver.execute_script(TOO_WIDE) == [], name
        page.driver.save_screenshot(str(SHOTS / f"{name or 'now'}-phone.png"))
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert page.errors() == []


def test_a_face_is_added_by_a_button_or_dropped_on_a_name_and_removed_among_the_pictures(porch, page):
    def templates():
        return porch.ask("person/list", {"transaction": uuid.uuid4().hex})["data"]["people"][0]["templates"]

    before = templates()
    page.open("visits")
    page.click("Add to Anna", within="Anna")
    page.shows("Added to the pictures of Anna")
    assert templates() == before + 1
    face = page.driver.find_element(By.XPATH, "//*[contains(., 'Somebody unknown')]/img")
    ActionChains(page.driver).click_and_hold(face).move_by_offset(20, 20).perform()
    target = page.driver.find_element(By.CLASS_NAME, "limen-target")
    until(target.is_displayed)
    ActionChains(page.driver).move_to_element(target).move_by_offset(3, 3).release().perform()
    until(lambda: page.text.count("Not Anna") == 2)
    assert templates() == before + 2
    page.open("people")
    page.click("Pictures", within="Anna")
    until(lambda: page.text.count("Given") == before + 2)
    page.click("Delete", within="Pictures of Anna")
    page.click("Delete", within="Delete this picture?")
    until(lambda: templates() == before + 1)
    page.click("Close", within="Pictures of Anna")
    page.shows(f"{before + 1} pictures")
    assert page.errors() == []


def test_two_people_look_at_once_and_the_broker_goes_and_comes_back(porch, page, address):
    other = Page(address, "de")
    try:
        other.open("people")
        other.shows(DE["add_person"])
        page.open("")
        page.shows("At the door")
        porch.broker.stop()
        for one, words in ((page, "No connection to the broker"), (other, "Keine Verbindung zum Broker")):
            one.shows(words)
        porch.broker.start()
        until(lambda: "No connection" not in page.text and "online" in page.text)
        until(lambda: "Keine Verbindung" not in other.text)
    finally:
        other.driver.quit()


# `limen console` whose logins hold for so many seconds.
CONSOLE_OF_SHORT_LOGINS = """
import sys
import edge.console.access
from edge.commands.main import main
edge.console.access.LOGIN_SECONDS = float(sys.argv.pop(1))
main()
"""
WORD = "long enough a word"
LOGIN_SECONDS = 25.0  # enough for what is done before


def test_a_tab_does_nothing_more_when_its_login_has_run_out_and_asks_for_the_password(porch, tmp_path):
    def recognizes():
        return json.loads(porch.newest("config"))["recognition"]

    password = tmp_path / "password"
    write_password(password, WORD)
    words = ("-c", CONSOLE_OF_SHORT_LOGINS, str(LOGIN_SECONDS), "console", "--password-file", str(password))
    with served(porch, tmp_path / "log", *words) as address:
        page = Page(address)
        try:
            page.driver.get(f"{address}/settings")
            page.driver.find_element(By.NAME, "password").send_keys(WORD + Keys.ENTER)
            page.shows("At the door")
            page.open("settings")
            switch = page.driver.find_element(By.XPATH, "//*[@role='switch']")
            for state in (False, True):
                switch.send_keys(Keys.SPACE)
                until(lambda state=state: recognizes() is state)
            until(lambda: not page.driver.execute_script("return window.socket.connected"))
            before = len(porch.on("config"))
            switch.send_keys(Keys.SPACE)
            porch.ask("person/list", {"transaction": "later"})
            for _ in range(3):
                page.driver.execute_script("window.socket.connect()")
                time.sleep(1.0)
                assert not page.driver.execute_script("return window.socket.connected")
            assert (recognizes(), len(porch.on("config"))) == (True, before)
            page.driver.refresh()
            assert page.driver.find_element(By.NAME, "password").is_displayed()
            assert "Recognition" not in page.text
        finally:
            page.driver.quit()


def test_a_camera_that_keeps_no_visits_says_how_to_turn_them_on(porch, page, tmp_path):
    config = Config(
        device="garden", clock="trusted", gallery=GalleryConfig(tmp_path / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=porch.broker.port),
    )  # fmt: skip
    with running(config, Film), Household(porch.broker.port, "garden") as household:
        until(lambda: household.newest("status") == b"online")
        page.open("visits?camera=garden")
        page.shows("keep_hours = 168")
        page.open("strangers?camera=garden")
        page.shows("keep_days = 14")


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
