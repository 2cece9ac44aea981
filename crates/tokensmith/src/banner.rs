//! What `dev` prints when it is ready: links, demo users and clients, commands to paste. Colour only on a terminal.

use std::{fmt::Write, io::IsTerminal};

use tokensmith_server::{
    app::App,
    demo::{CLIENTS, PASSWORD, USERS},
};

/// Prints the banner.
pub(crate) fn print(app: &App) {
    let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = Paint(is_coloured);
    let sections = [
        links(app, &paint),
        people(&paint),
        clients(&paint),
        commands(app, &paint),
        rest(app, &paint),
    ];
    println!(
        "\n{}  {}\n\n{}",
        paint.strong("Tokensmith"),
        paint.faint(env!("CARGO_PKG_VERSION")),
        sections.join("\n")
    );
}

/// Prints each mail that the server would have sent.
pub(crate) async fn print_mail(app: App) {
    let Some(screen) = app.mailer().screen() else {
        return;
    };
    let mut newest = screen.newest();
    let mut printed = 0;
    while newest.changed().await.is_ok() {
        for mail in screen.after(printed) {
            let rule = "─".repeat(72);
            println!(
                "{rule}\nMail to {}: {}\n\n{}{rule}",
                mail.to, mail.subject, mail.text
            );
            printed = mail.number;
        }
    }
}

struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn strong(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn link(&self, text: &str) -> String {
        self.with("36", text)
    }
}

fn links(app: &App, paint: &Paint) -> String {
    let issuer = &app.config().issuer;
    let links = [
        ("issuer", issuer.as_str().to_owned()),
        ("sign in", issuer.endpoint("/sign-in")),
        ("API", issuer.endpoint("/docs")),
        (
            "discovery",
            issuer.endpoint("/.well-known/openid-configuration"),
        ),
        ("keys", issuer.endpoint("/.well-known/jwks.json")),
        ("mail", issuer.endpoint("/dev/mail")),
        ("health", issuer.endpoint("/health")),
        ("metrics", issuer.endpoint("/metrics")),
    ];
    let lines = links.map(|(name, link)| format!("  {name:<10} {}\n", paint.link(&link)));
    format!("{}\n{}", paint.strong("Links"), lines.concat())
}

fn people(paint: &Paint) -> String {
    let title = format!(
        "{}  {}",
        paint.strong("People"),
        paint.faint(&format!("password: {PASSWORD}"))
    );
    let line = |user: &tokensmith_server::demo::DemoUser| {
        format!(
            "  {:<26} {} of {}\n",
            user.email,
            user.role.as_str(),
            user.organization
        )
    };
    format!("{title}\n{}", USERS.iter().map(line).collect::<String>())
}

fn clients(paint: &Paint) -> String {
    let mut text = format!("{}\n", paint.strong("Clients"));
    for client in &CLIENTS {
        let secret = client.secret.unwrap_or("(public, PKCE)");
        let _ = writeln!(
            text,
            "  {:<17} {:<41} {}",
            client.id,
            secret,
            paint.faint(client.scope)
        );
    }
    text
}

/// Every one of them works as it stands.
fn commands(app: &App, paint: &Paint) -> String {
    let issuer = &app.config().issuer;
    let (token, login) = (
        issuer.endpoint("/oauth/token"),
        issuer.endpoint("/auth/login"),
    );
    let organizations = issuer.endpoint("/api/auth/organizations");
    let (service, secret) = (CLIENTS[0].id, CLIENTS[0].secret.unwrap_or_default());
    let (scope, alice) = (CLIENTS[0].scope, USERS[0].email);
    let body = format!(r#"{{"email":"{alice}","password":"{PASSWORD}"}}"#);
    format!(
        "{try_it}
  {service_token}
  curl -s -u {service}:{secret} -d grant_type=client_credentials -d 'scope={scope}' {token}

  {sign_in}
  TOKEN=$(curl -s {login} -H 'Content-Type: application/json' -d '{body}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')

  {groups}
  ORG=$(curl -s {organizations} -H \"Authorization: Bearer $TOKEN\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')
  curl -s {organizations}/$ORG/groups -H \"Authorization: Bearer $TOKEN\"
",
        try_it = paint.strong("Try it"),
        service_token = paint.faint("# a token for a service"),
        sign_in = paint.faint("# sign in as Alice"),
        groups = paint.faint("# her organization's groups"),
    )
}

fn rest(app: &App, paint: &Paint) -> String {
    let data = app.config().data_dir.display();
    format!(
        "{}\n  kept in    {data}\n  look       tokensmith user list --data {data}\n  start anew stop, remove that directory, start\n\n{}",
        paint.strong("Data"),
        paint.faint("Ctrl-C stops. Log lines follow.\n")
    )
}
