//! Clients and workloads without a stored secret: registered by commands, and heard by a running server.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, Signer, SigningKey};
use tokensmith_xtask::http::{Answer, Request};

use crate::running::{Ground, PATIENCE, Running, mode, text, tokensmith};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const CI: &str = "https://ci.test";

#[expect(
    clippy::disallowed_methods,
    reason = "the binary under test reads the wall clock"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A server with its configuration, and the commands beside it.
struct Site {
    ground: Ground,
    config: PathBuf,
    server: Running,
}

impl Site {
    fn start(proxy: Option<&str>) -> Self {
        let ground = Ground::new();
        let more =
            "[fetch]\nplain_http_to_loopback = true\n[client_auth]\nclient_secret_jwt = true\n";
        let server = ground.serve_with(more, |command| {
            for name in [
                "HTTP_PROXY",
                "http_proxy",
                "HTTPS_PROXY",
                "ALL_PROXY",
                "all_proxy",
            ] {
                command.envs(proxy.map(|proxy| (name, proxy)));
            }
        });
        Self {
            config: ground.path("tokensmith.toml"),
            ground,
            server,
        }
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        let mut command = tokensmith();
        command.args(arguments).arg("--config").arg(&self.config);
        command.output().unwrap()
    }

    fn does<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    fn refuses<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>, why: &str) {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.contains(why), "{said}");
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    fn ask(&self, form: &[(&str, &str)]) -> Answer {
        let request = Request::new("POST", self.server.port, "/oauth/token").form(form);
        request.send().unwrap()
    }

    fn present(&self, key: &Arc<SigningKey>, claims: &Value) -> u16 {
        let assertion = Signer::new(key.clone(), "JWT")
            .unwrap()
            .sign(claims)
            .unwrap();
        self.ask(&[("grant_type", GRANT), ("assertion", &assertion)])
            .status
    }

    /// What a build system says of a job; never the same twice.
    fn job(&self, repository: &str) -> Value {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let jti = format!("job-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        json!({
            "iss": CI, "sub": format!("repo:{repository}:ref:refs/heads/main"), "aud": self.issuer(),
            "repository": repository, "jti": jti, "iat": now(), "exp": now() + 300,
        })
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !holds() {
        assert!(asked.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn key_set(key: &SigningKey) -> String {
    json!({ "keys": [key.public_jwk()] }).to_string()
}

#[test]
fn a_jobs_token_becomes_one_of_ours_by_a_rule_from_the_command_line() {
    let site = Site::start(None);
    let key = Arc::new(SigningKey::generate(Algorithm::Rs256).unwrap());
    let jwks = site.ground.path("ci.jwks.json");
    fs::write(&jwks, key_set(&key)).unwrap();
    site.does([
        "client",
        "create",
        "deploy",
        "--public",
        "--grant",
        GRANT,
        "--scope",
        "groups:read",
    ]);
    let add = ["issuer", "add", CI, "--jwks", jwks.to_str().unwrap()];
    site.does(add);
    site.refuses(add, "is trusted already");
    let allow = [
        "issuer",
        "allow",
        CI,
        "--client",
        "deploy",
        "--scope",
        "groups:read",
    ];
    site.refuses(
        [&allow[..], &["--claim", "repository=acme*"]].concat(),
        "`*`",
    );
    site.refuses(
        [&allow[..], &["--claim", "repository"]].concat(),
        "NAME=VALUE",
    );
    site.does(
        [
            &allow[..],
            &[
                "--claim",
                "repository=acme/app",
                "--claim",
                "sub=repo:acme/*",
            ],
        ]
        .concat(),
    );
    eventually("the rule is in force", || {
        site.present(&key, &site.job("acme/app")) == 200
    });
    assert_eq!(site.present(&key, &site.job("acme/other")), 400);
    let once = site.job("acme/app");
    assert_eq!(
        (site.present(&key, &once), site.present(&key, &once)),
        (200, 400)
    );
    let listed: Value = serde_json::from_str(&site.does(["issuer", "list", "--json"])).unwrap();
    assert_eq!(
        listed[0]["rules"][0]["claims"]["repository"],
        json!(["acme/app"])
    );
    let audit = site.does(["audit", "list", "--json"]);
    assert!(
        audit.contains("repo:acme/app:ref:refs/heads/main"),
        "{audit}"
    );
    site.does(["issuer", "disable", CI]);
    eventually("a disabled issuer is refused", || {
        site.present(&key, &site.job("acme/app")) == 400
    });
    site.does(["issuer", "enable", CI]);
    eventually("an enabled one is not", || {
        site.present(&key, &site.job("acme/app")) == 200
    });
    site.does(["issuer", "deny", CI, "--client", "deploy"]);
    eventually("without a rule there is nothing", || {
        site.present(&key, &site.job("acme/app")) == 400
    });
    site.does(["issuer", "remove", CI]);
    site.refuses(["issuer", "show", CI], "no trusted issuer");
    site.server.stop();
}

#[test]
fn a_client_made_with_a_new_key_proves_itself_with_it() {
    let site = Site::start(None);
    let pem = site.ground.path("billing.pem");
    let create = [
        "client",
        "create",
        "billing",
        "--auth-method",
        "private_key_jwt",
        "--scope",
        "groups:read",
    ];
    site.refuses(create, "--jwks");
    let with_key = [&create[..], &["--new-key", pem.to_str().unwrap()]].concat();
    let said = site.does(with_key.clone());
    assert!(!said.contains("client_secret"), "{said}");
    assert_eq!(mode(&pem), 0o600);
    let before = fs::read(&pem).unwrap();
    site.refuses(with_key, "there is a client");
    assert_eq!(fs::read(&pem).unwrap(), before);
    site.refuses(["client", "rotate-secret", "billing"], "has no secret");
    let body: String = text(&before)
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let key = SigningKey::from_pkcs8(Algorithm::Es256, &STANDARD.decode(body).unwrap()).unwrap();
    let signer = Signer::new(Arc::new(key), "JWT").unwrap();
    let claims = |jti: &str| {
        json!({
            "iss": "billing", "sub": "billing", "aud": site.issuer(), "jti": jti, "iat": now(), "exp": now() + 60,
        })
    };
    let status = |jti: &str| {
        let assertion = signer.sign(&claims(jti)).unwrap();
        let by = [
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        let grant = [
            ("grant_type", "client_credentials"),
            ("scope", "groups:read"),
        ];
        site.ask(&[&grant[..], &by].concat()).status
    };
    assert_eq!((status("1"), status("1"), status("2")), (200, 401, 200));
    site.server.stop();
}

#[test]
fn published_keys_are_asked_for_directly_and_never_through_a_proxy() {
    let (proxy, through_proxy) = listener(String::new());
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let (published, asked) = listener(key_set(&key));
    let site = Site::start(Some(&proxy));
    site.does([
        "client",
        "create",
        "deploy",
        "--public",
        "--grant",
        GRANT,
        "--scope",
        "groups:read",
    ]);
    for inside in [
        "http://10.0.0.1/jwks",
        "https://169.254.169.254/",
        "file:///etc/passwd",
        "https://10.0.0.1/",
    ] {
        site.refuses(["issuer", "add", CI, "--jwks-uri", inside], "is refused");
        let create = [
            "client",
            "create",
            "x",
            "--auth-method",
            "private_key_jwt",
            "--jwks-uri",
            inside,
        ];
        site.refuses(create, "jwks_uri");
    }
    site.does(["issuer", "add", CI, "--jwks-uri", &published]);
    let scope = ["--scope", "groups:read", "--claim", "repository=acme/app"];
    site.does([&["issuer", "allow", CI, "--client", "deploy"][..], &scope].concat());
    eventually("the published key counts", || {
        site.present(&key, &site.job("acme/app")) == 200
    });
    assert_eq!(
        (
            asked.load(Ordering::SeqCst),
            through_proxy.load(Ordering::SeqCst)
        ),
        (1, 0)
    );
    site.server.stop();
}

/// A listener that answers every request with this body, and counts them.
fn listener(body: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let _read = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _written = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (address, count)
}
