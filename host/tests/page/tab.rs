//! A tab that shows the Hub's page: its keyboard, its size, its colours, and everything that went wrong in it.

use serde_json::{Value, json};

use super::chromium::Chromium;
use super::{DEADLINE, Site};

/// Runs before the page's own scripts: a mark that a reload would wipe, and what a smuggled script would call.
const PRELUDE: &str = "window.smuggled = []; window.loadedAt ??= performance.timeOrigin;";

/// An open tab. Ends with [`finish`](Self::finish).
pub struct Tab {
    chromium: Chromium,
    session: String,
    origin: String,
    requests: usize,
    complaints: Vec<String>,
}

impl Tab {
    /// The page, 1280 × 800 and light, connected to the Hub. None if the tests are skipped.
    pub async fn open(site: &Site) -> Option<Self> {
        let mut tab = Self::blank(site).await?;
        tab.visit("/").await;
        Some(tab)
    }

    /// The same before it goes anywhere.
    pub async fn blank(site: &Site) -> Option<Self> {
        let mut chromium = Chromium::start()?;
        let target = chromium
            .call(None, "Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = chromium.call(None, "Target.attachToTarget", attach).await;
        let mut tab = Self {
            chromium,
            session: attached["sessionId"].as_str().unwrap().to_owned(),
            origin: site.hub.url(),
            requests: 0,
            complaints: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": PRELUDE }))
            .await;
        tab.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))
            .await;
        tab.size(1280, 800).await;
        tab.dark(false).await;
        Some(tab)
    }

    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let result = self.chromium.call(Some(&self.session), method, params).await;
        for event in self.chromium.take_events() {
            self.note(&event);
        }
        result
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        let bad = |level: &Value| ["error", "warning", "assert"].iter().any(|bad| level == bad);
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" if bad(&params["type"]) => self.complaints.push(params["args"].to_string()),
            "Runtime.exceptionThrown" => self.complaints.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" if bad(&params["entry"]["level"]) => self.complaints.push(params["entry"].to_string()),
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap();
                self.requests += 1;
                let path = url.strip_prefix(&self.origin);
                if !path.is_some_and(|path| path.starts_with('/')) {
                    self.complaints.push(format!("a request to {url}"));
                }
            }
            _ => {}
        }
    }

    /// Goes to a path of the Hub and waits until the page follows the Hub.
    pub async fn visit(&mut self, path: &str) {
        let before = self.js("window.loadedAt ?? 0").await;
        let url = format!("{}{path}", self.origin);
        let navigated = self.call("Page.navigate", json!({ "url": url })).await;
        assert_eq!(navigated["errorText"], Value::Null, "{url}");
        self.until("the page is loaded", &format!("(window.loadedAt ?? 0) !== {before}"))
            .await;
        self.until_live().await;
    }

    pub async fn reload(&mut self) {
        let before = self.js("window.loadedAt").await;
        self.call("Page.reload", json!({})).await;
        self.until("the page is loaded again", &format!("window.loadedAt !== {before}"))
            .await;
        self.until_live().await;
    }

    pub async fn until_live(&mut self) {
        self.until(
            "the page is connected to the Hub",
            "document.getElementById('connection')?.dataset.state === 'live'",
        )
        .await;
    }

    /// Opens a thread as a link to it would.
    pub async fn open_thread(&mut self, id: &str) {
        self.js(&format!("location.hash = {}", json!(id))).await;
        self.until(
            "the thread is open",
            "document.activeElement.id === 'thread-title' && document.getElementById('comments') !== null",
        )
        .await;
    }

    /// The value of an expression.
    pub async fn js(&mut self, expression: &str) -> Value {
        match self.try_js(expression).await {
            Ok(value) => value,
            Err(error) => panic!("{expression} failed: {error}"),
        }
    }

    async fn try_js(&mut self, expression: &str) -> Result<Value, String> {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params).await;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].clone()),
            details => Err(details.to_string()),
        }
    }

    pub async fn text(&mut self, expression: &str) -> String {
        let value = self.js(expression).await;
        value
            .as_str()
            .unwrap_or_else(|| panic!("{expression} is {value}"))
            .to_owned()
    }

    pub async fn holds(&mut self, expression: &str) -> bool {
        let value = self.js(expression).await;
        value
            .as_bool()
            .unwrap_or_else(|| panic!("{expression} is {value}, neither true nor false"))
    }

    /// Asks until the expression is true. While a new page is coming it may also fail.
    pub async fn until(&mut self, what: &str, expression: &str) {
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            let outcome = self.try_js(expression).await;
            if outcome == Ok(Value::Bool(true)) {
                return;
            }
            if tokio::time::Instant::now() > end {
                let shown = self.try_js("document.body.innerText").await;
                let complaints = &self.complaints;
                panic!("never: {what}: {expression} is {outcome:?}\ncomplaints: {complaints:#?}\nit shows: {shown:?}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Presses keys one after the other: characters, or `Enter`, `Tab`, `Escape`, `Ctrl+Enter`.
    pub async fn press(&mut self, keys: &[&str]) {
        for name in keys {
            let (key, modifiers) = match name.strip_prefix("Ctrl+") {
                Some(key) => (key, 2),
                None => (*name, 0),
            };
            let (code, text) = match key {
                "Enter" => (13, "\r"),
                "Tab" => (9, ""),
                "Escape" => (27, ""),
                character => (0, character),
            };
            let mut event = json!({ "key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code });
            if modifiers == 0 {
                event["text"] = text.into();
            }
            for kind in ["keyDown", "keyUp"] {
                event["type"] = kind.into();
                self.call("Input.dispatchKeyEvent", event.clone()).await;
            }
        }
    }

    /// Types a text key by key.
    pub async fn type_text(&mut self, text: &str) {
        for character in text.chars() {
            self.press(&[&character.to_string()]).await;
        }
    }

    pub async fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub async fn dark(&mut self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await;
    }

    /// Fails if the browser complained about anything, or if a request left the Hub.
    pub async fn finish(self) {
        self.finish_but(|_| false).await;
    }

    /// The same, but for complaints that the test is about.
    pub async fn finish_but(mut self, expected: impl Fn(&str) -> bool) {
        // Whatever happened before this answer has been told before it.
        self.js("new Promise((done) => setTimeout(done))").await;
        let mut complaints = std::mem::take(&mut self.complaints);
        complaints.retain(|complaint| !expected(complaint));
        assert!(complaints.is_empty(), "the browser complained: {complaints:#?}");
        assert!(
            self.requests > 5,
            "only {} requests were seen: is anything watched?",
            self.requests
        );
    }
}
