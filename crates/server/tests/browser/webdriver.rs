//! A browser on a screen nobody sees: Chromium, driven through chromedriver by the W3C WebDriver protocol, which is
//! JSON over HTTP. What is sent are keys, as a person without a mouse would press them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

/// WebDriver §17.4.2: what keys without a character are sent as.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const END: &str = "\u{e010}";
/// Longest wait for a command.
const PATIENCE: Duration = Duration::from_secs(20);

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
];

/// A window of Chromium, closed when dropped.
pub(crate) struct Window {
    driver: Child,
    http: reqwest::Client,
    session: String,
    base: String,
    _profile: TempDir,
}

impl Window {
    /// Opens a window on pages below `base`.
    pub(crate) async fn open(base: &str) -> Self {
        let (driver, port) = start_driver();
        let profile = tempfile::tempdir().unwrap();
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let mut arguments: Vec<_> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(profile_argument);
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
        }}});
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let mut window = Self {
            driver,
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            base: base.to_owned(),
            _profile: profile,
        };
        let opened = window.post("", capabilities).await;
        let id = opened["sessionId"].as_str();
        let id = id.unwrap_or_else(|| panic!("Chromium does not start: {opened}"));
        window.session = format!("{}/{id}", window.session);
        window
    }

    /// Sends a command and answers with its value.
    pub(crate) async fn post(&self, command: &str, body: Value) -> Value {
        let address = format!("{}{command}", self.session);
        let answer = self.http.post(address).json(&body).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{command}: {value}");
        value
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.post("/execute/sync", body).await
    }

    /// Runs a script that calls its last argument when it is done.
    pub(crate) async fn run_until_done(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.post("/execute/async", body).await
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn chromium(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", body).await
    }

    /// Opens the page at a path.
    pub(crate) async fn go(&self, path: &str) {
        let address = format!("{}{path}", self.base);
        self.post("/url", json!({"url": address})).await;
    }

    /// The path that is shown.
    pub(crate) async fn path(&self) -> String {
        let path = self.run("return location.pathname + location.search").await;
        path.as_str().unwrap().to_owned()
    }

    /// Presses keys one after the other.
    pub(crate) async fn press(&self, keys: &str) {
        let strokes: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        self.keys(strokes).await;
    }

    async fn keys(&self, strokes: Vec<Value>) {
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.post("/actions", body).await;
    }

    /// Goes on by Tab until the thing of this name has the focus. Everything on the way must show that it has it.
    pub(crate) async fn tab_to(&self, name: &str) {
        let mut passed = Vec::new();
        for _ in 0..60 {
            let focus = self.run(FOCUS).await;
            let here = focus["name"].as_str().unwrap_or_default().to_owned();
            if here == name {
                return;
            }
            passed.push(here);
            self.press(TAB).await;
            let focus = self.run(FOCUS).await;
            assert!(
                focus["is_visible"] == true,
                "the focus cannot be seen: {focus}"
            );
        }
        panic!("no {name} among {passed:?}");
    }

    /// Goes to a field and types.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        self.tab_to(label).await;
        self.press(text).await;
    }

    /// Goes to a button or a link and presses Enter, and waits for the page after.
    pub(crate) async fn choose(&self, name: &str) {
        self.tab_to(name).await;
        self.run("window.wasHere = true").await;
        self.press(ENTER).await;
        for _ in 0..500 {
            let is_new =
                "return window.wasHere === undefined && document.readyState === 'complete'";
            if self.run(is_new).await == true {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} leads nowhere");
    }

    /// Goes to a button and presses Enter, for what stays on the page.
    pub(crate) async fn press_on(&self, name: &str) {
        self.tab_to(name).await;
        self.press(ENTER).await;
    }

    /// Waits until the page shows this text.
    pub(crate) async fn shows(&self, text: &str) {
        for _ in 0..500 {
            if self.text().await.contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{text} is not there: {}", self.text().await);
    }

    /// The text of the page.
    pub(crate) async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    /// A window of the size of a phone, or of a desk.
    pub(crate) async fn is_phone(&self, is_phone: bool) {
        let (width, height) = if is_phone { (390, 844) } else { (1280, 900) };
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.chromium("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Light or dark.
    pub(crate) async fn is_dark(&self, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.chromium("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    /// A picture of the page, in the directory of the test output.
    pub(crate) async fn picture(&self, name: &str) {
        let shot = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.chromium("Page.captureScreenshot", shot).await;
        let png = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.png")), png).unwrap();
    }
}

impl Window {
    fn close(&self) -> std::io::Result<()> {
        let address = self.session.trim_start_matches("http://");
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let mut socket = TcpStream::connect(host)?;
        let request =
            format!("DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        // The connection is kept open, so the answer has no end to wait for.
        socket.read(&mut [0; 512]).map(drop)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // chromedriver ends its browser when it is asked to, not when it is killed.
        let _ = self.close();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Name and visibility of what has the focus: its label, its text, or its address.
const FOCUS: &str = "
    const it = document.activeElement;
    const name = it.getAttribute('aria-label') || (it.labels && it.labels[0] && it.labels[0].innerText)
        || it.innerText || it.id || '';
    const style = getComputedStyle(it);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const outside = it === document.body || it.id === 'content' || it === document.documentElement;
    return {name: name.trim(), is_visible: outlined || outside, tag: it.tagName};";

fn start_driver() -> (Child, u16) {
    let driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut driver = driver.unwrap_or_else(|error| {
        panic!(
            "chromedriver cannot be started ({error}): run scripts/services install, or install the packages \
            chromium and chromium-driver"
        )
    });
    let output = BufReader::new(driver.stdout.take().unwrap());
    for line in output.lines().map_while(Result::ok) {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let port = port.trim_end_matches('.').parse().unwrap();
            return (driver, port);
        }
    }
    let ended = driver.wait();
    panic!("chromedriver ended before it listened: {ended:?}");
}
