//! A headless Chromium, driven as W3C WebDriver describes it: through chromedriver's HTTP.

use crate::support::World;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

/// The name under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with one window. It ends with this value.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

/// An element of the page.
#[derive(Debug, Clone)]
pub struct Element(String);

impl Browser {
    /// Starts a browser that knows nothing and asks nobody.
    ///
    /// # Panics
    /// When chromedriver or Chromium is not installed.
    pub fn start(world: &World) -> Browser {
        let mut driver = world
            .command("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts: apt-get install chromium chromium-driver");
        let said = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = said
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok())
            .expect("chromedriver says its port");
        let mut browser = Browser { driver, port, session: String::new() };
        let profile = world.home.join("chromium");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.ask("POST", "/session", &capabilities);
        browser.session = session["sessionId"].as_str().unwrap().to_string();
        browser.window(1280, 900);
        browser
    }

    /// Opens a file, with a fragment that may be empty.
    pub fn open(&self, file: &Path, fragment: &str) {
        // A page that only gets another fragment is not loaded again.
        self.tell("url", &json!({"url": "about:blank"}));
        self.tell("url", &json!({"url": format!("file://{}{fragment}", file.display())}));
    }

    /// Gives the window a size in pixels.
    pub fn window(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.developer_tools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Makes the page believe that the user wants `light` or `dark`.
    pub fn colours(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.developer_tools("Emulation.setEmulatedMedia", &features);
    }

    /// What a function body answers in the page.
    pub fn evaluate(&self, code: &str) -> Value {
        self.tell("execute/sync", &json!({"script": code, "args": []}))
    }

    /// The element that a CSS selector finds.
    #[track_caller]
    pub fn find(&self, selector: &str) -> Element {
        let found = self.tell("element", &json!({"using": "css selector", "value": selector}));
        Element(found[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector}: {found}")).to_string())
    }

    /// Clicks in the middle of an element, as a mouse does.
    pub fn click(&self, element: &Element) {
        self.tell(&format!("element/{}/click", element.0), &json!({}));
    }

    /// Types into an element.
    pub fn type_into(&self, element: &Element, text: &str) {
        self.tell(&format!("element/{}/value", element.0), &json!({"text": text}));
    }

    /// Presses and releases a key, wherever the focus is.
    pub fn press(&self, key: char) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.tell("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// What assistive technology is told that an element is.
    pub fn role(&self, element: &Element) -> String {
        let path = format!("/session/{}/element/{}/computedrole", self.session, element.0);
        self.ask("GET", &path, &Value::Null).as_str().unwrap().to_string()
    }

    /// Every message of the console since the last call, violations of the Content Security Policy among them.
    pub fn console(&self) -> Vec<Value> {
        self.tell("se/log", &json!({"type": "browser"})).as_array().unwrap().clone()
    }

    /// Every address that the page asked for since the last call.
    pub fn requests(&self) -> Vec<String> {
        let log = self.tell("se/log", &json!({"type": "performance"}));
        let events = log
            .as_array()
            .unwrap()
            .iter()
            .map(|event| -> Value { serde_json::from_str(event["message"].as_str().unwrap()).unwrap() });
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap().to_string()).collect()
    }

    /// Calls a method of the Chrome DevTools Protocol.
    fn developer_tools(&self, method: &str, parameters: &Value) {
        self.tell("goog/cdp/execute", &json!({"cmd": method, "params": parameters}));
    }

    fn tell(&self, command: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{command}", self.session), body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body).unwrap();
        assert!(answer["value"]["error"].is_null(), "{method} {path} {body}: {answer}");
        answer["value"].clone()
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> io::Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap();
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, also after a failure; nothing to do about one that is gone already.
        let _ = self.send("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
