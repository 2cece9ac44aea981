//! Every text of the pages in every language, side by side. A text without one of its languages does not compile.
//! `{}` in a text stands for what [`filled`] puts there.

/// Makes the table: a struct with one field a text, and one constant of it a language.
macro_rules! messages {
    ($( $name:ident: $en:literal, $de:literal, $fr:literal; )+) => {
        /// The texts in one language.
        pub(crate) struct Messages { $( pub(crate) $name: &'static str, )+ }
        pub(super) const EN: Messages = Messages { $( $name: $en, )+ };
        pub(super) const DE: Messages = Messages { $( $name: $de, )+ };
        pub(super) const FR: Messages = Messages { $( $name: $fr, )+ };

        /// Name and texts of every row, for tests.
        #[cfg(test)]
        const ROWS: &[(&str, [&str; 3])] = &[$( (stringify!($name), [$en, $de, $fr]), )+];
    };
}

messages! {
    // What every page has.
    skip: "Skip to the content", "Zum Inhalt springen", "Aller au contenu";
    language: "Language", "Sprache", "Langue";
    error_title: "Error", "Fehler", "Erreur";
    sign_out: "Sign out", "Abmelden", "Se déconnecter";

    // Sign-in.
    sign_in: "Sign in", "Anmelden", "Se connecter";
    sign_in_lead: "Welcome back.", "Willkommen zurück.", "Heureux de vous revoir.";
    login: "E-mail address or username", "E-Mail-Adresse oder Benutzername", "Adresse e-mail ou nom d’utilisateur";
    password: "Password", "Passwort", "Mot de passe";
    remember: "Keep me signed in on this device", "Auf diesem Gerät angemeldet bleiben", "Rester connecté sur cet appareil";
    no_account: "No account yet?", "Noch kein Konto?", "Pas encore de compte ?";
    create_one: "Create one", "Konto anlegen", "Créer un compte";
    sign_in_over: "That took too long. Sign in again.", "Das hat zu lange gedauert. Melden Sie sich noch einmal an.", "Cela a pris trop de temps. Connectez-vous à nouveau.";
    sign_in_again: "Start again", "Von vorn beginnen", "Recommencer";
    sign_in_by_password: "Sign in with a password", "Mit Passwort anmelden", "Se connecter avec un mot de passe";

    // Second factor.
    factor: "Confirm it is you", "Bestätigen Sie, dass Sie es sind", "Confirmez que c’est bien vous";
    factor_lead: "Your account is protected by a second step.", "Ihr Konto ist durch einen zweiten Schritt geschützt.", "Votre compte est protégé par une seconde étape.";
    factor_code: "Security code", "Sicherheitscode", "Code de sécurité";
    factor_hint: "Six digits from your authenticator app, or one of your recovery codes.", "Sechs Ziffern aus Ihrer Authenticator-App oder einer Ihrer Wiederherstellungscodes.", "Six chiffres de votre application d’authentification, ou l’un de vos codes de secours.";
    factor_hint_recovery: "One of your recovery codes.", "Einer Ihrer Wiederherstellungscodes.", "L’un de vos codes de secours.";
    factor_remember: "Do not ask again on this device", "Auf diesem Gerät nicht mehr fragen", "Ne plus demander sur cet appareil";
    factor_refused: "This code is wrong, too old, or was used before.", "Dieser Code ist falsch, zu alt oder schon benutzt.", "Ce code est incorrect, trop ancien ou déjà utilisé.";
    code_missing: "Enter a code.", "Geben Sie einen Code ein.", "Saisissez un code.";
    passkey_use: "Use a passkey", "Passkey verwenden", "Utiliser une clé d’accès";
    passkey_sign_in: "Sign in with a passkey", "Mit Passkey anmelden", "Se connecter avec une clé d’accès";
    passkey_lead: "Your device asks for your finger, your face or its PIN.", "Ihr Gerät fragt nach Finger, Gesicht oder PIN.", "Votre appareil demande votre doigt, votre visage ou son code PIN.";
    passkey_failed: "No passkey answered. Try again, or choose another way.", "Kein Passkey hat geantwortet. Versuchen Sie es noch einmal oder wählen Sie einen anderen Weg.", "Aucune clé d’accès n’a répondu. Réessayez ou choisissez un autre moyen.";
    passkey_refused: "The passkey was not accepted. Begin again.", "Der Passkey wurde nicht angenommen. Beginnen Sie noch einmal.", "La clé d’accès n’a pas été acceptée. Recommencez.";
    passkey_unverified: "This passkey must verify you by itself, for instance by a PIN. Sign in with your password.", "Dieser Passkey muss Sie selbst prüfen, etwa durch eine PIN. Melden Sie sich mit Ihrem Passwort an.", "Cette clé d’accès doit vous vérifier elle-même, par exemple par un code PIN. Connectez-vous avec votre mot de passe.";
    passkey_malformed: "The browser sent no passkey. This needs JavaScript.", "Der Browser hat keinen Passkey gesendet. Dafür ist JavaScript nötig.", "Le navigateur n’a pas envoyé de clé d’accès. JavaScript est nécessaire.";
    enrol: "Set up a second step", "Zweiten Schritt einrichten", "Configurer une seconde étape";
    enrol_lead: "This account needs a second step besides the password. All you need is an authenticator app.", "Dieses Konto braucht neben dem Passwort einen zweiten Schritt. Sie brauchen nur eine Authenticator-App.", "Ce compte exige une seconde étape en plus du mot de passe. Il suffit d’une application d’authentification.";
    enrol_begin: "Set up now", "Jetzt einrichten", "Configurer maintenant";
    enrol_scan: "Scan this picture with your authenticator app.", "Scannen Sie dieses Bild mit Ihrer Authenticator-App.", "Scannez cette image avec votre application d’authentification.";
    enrol_secret: "Or type this key into it:", "Oder tippen Sie diesen Schlüssel ein:", "Ou saisissez-y cette clé :";
    enrol_code_hint: "The six digits that the app shows now.", "Die sechs Ziffern, die die App jetzt zeigt.", "Les six chiffres que l’application affiche maintenant.";
    enrol_confirm: "Confirm and sign in", "Bestätigen und anmelden", "Confirmer et se connecter";
    recovery_codes: "Keep these recovery codes", "Bewahren Sie diese Wiederherstellungscodes auf", "Conservez ces codes de secours";
    recovery_codes_lead: "If you lose your phone, each of them signs you in once. They are shown only now.", "Wenn Sie Ihr Telefon verlieren, meldet jeder davon Sie einmal an. Sie werden nur jetzt gezeigt.", "Si vous perdez votre téléphone, chacun vous connecte une fois. Ils ne s’affichent que maintenant.";
    recovery_codes_kept: "I have kept them", "Ich habe sie aufbewahrt", "Je les ai conservés";

    // The account's second factors.
    factors: "Two steps", "Zwei Schritte", "Deux étapes";
    factors_lead: "What is asked for besides your password.", "Was außer Ihrem Passwort verlangt wird.", "Ce qui est demandé en plus de votre mot de passe.";
    factors_done: "It is done. A mail tells of it.", "Erledigt. Eine E-Mail berichtet davon.", "C’est fait. Un e-mail vous en informe.";
    factors_proved: "Thank you. You can change your second step now.", "Danke. Sie können Ihren zweiten Schritt jetzt ändern.", "Merci. Vous pouvez maintenant modifier votre seconde étape.";
    prove: "Confirm your password to change anything here", "Bestätigen Sie Ihr Passwort, um hier etwas zu ändern", "Confirmez votre mot de passe pour modifier cette page";
    prove_action: "Confirm password", "Passwort bestätigen", "Confirmer le mot de passe";
    app: "Authenticator app", "Authenticator-App", "Application d’authentification";
    app_on: "Set up", "Eingerichtet", "Configurée";
    app_off: "Not set up", "Nicht eingerichtet", "Non configurée";
    app_add: "Set up an app", "App einrichten", "Configurer une application";
    app_remove: "Remove the app", "App entfernen", "Supprimer l’application";
    app_confirm: "Confirm the app", "App bestätigen", "Confirmer l’application";
    passkeys: "Passkeys", "Passkeys", "Clés d’accès";
    passkeys_none: "You have no passkey.", "Sie haben keinen Passkey.", "Vous n’avez pas de clé d’accès.";
    passkey_added: "Added {}", "Hinzugefügt: {}", "Ajoutée : {}";
    passkey_remove: "Remove", "Entfernen", "Supprimer";
    passkey_remove_named: "Remove {}", "{} entfernen", "Supprimer {}";
    codes: "Recovery codes", "Wiederherstellungscodes", "Codes de secours";
    codes_left: "{} left", "Noch {}", "{} restants";
    codes_new: "Make new codes", "Neue Codes erstellen", "Créer de nouveaux codes";

    // Registration.
    register: "Create your account", "Konto anlegen", "Créer un compte";
    register_lead: "It takes less than a minute.", "Das dauert keine Minute.", "Cela prend moins d’une minute.";
    register_action: "Create account", "Konto anlegen", "Créer le compte";
    email: "E-mail address", "E-Mail-Adresse", "Adresse e-mail";
    username: "Username (optional)", "Benutzername (freiwillig)", "Nom d’utilisateur (facultatif)";
    username_hint: "Letters, digits, dots, hyphens and underscores.", "Buchstaben, Ziffern, Punkte, Binde- und Unterstriche.", "Lettres, chiffres, points, tirets et traits de soulignement.";
    password_hint: "At least 8 characters. A few unrelated words are strong and easy to remember.", "Mindestens 8 Zeichen. Ein paar Wörter ohne Zusammenhang sind stark und leicht zu merken.", "Au moins 8 caractères. Quelques mots sans lien entre eux sont sûrs et faciles à retenir.";
    have_account: "Already have an account?", "Schon ein Konto?", "Vous avez déjà un compte ?";
    registered: "Almost there", "Fast geschafft", "C’est presque fini";
    registered_text: "If this address is new here, the account is ready. Sign in with it.", "Wenn diese Adresse hier neu ist, ist das Konto bereit. Melden Sie sich damit an.", "Si cette adresse est nouvelle ici, le compte est prêt. Connectez-vous avec celle-ci.";

    // Mail: a forgotten password, an address to confirm.
    forgot_link: "Forgot your password?", "Passwort vergessen?", "Mot de passe oublié ?";
    forgot: "Reset your password", "Passwort zurücksetzen", "Réinitialiser le mot de passe";
    forgot_lead: "We send you a mail with a link and a code.", "Wir schicken Ihnen eine E-Mail mit einem Link und einem Code.", "Nous vous envoyons un e-mail avec un lien et un code.";
    forgot_action: "Send the mail", "E-Mail senden", "Envoyer l’e-mail";
    forgot_sent: "Look into your mail", "Sehen Sie in Ihre E-Mail", "Consultez vos e-mails";
    forgot_sent_text: "If this address has an account, a mail is on its way. What is in it works once, for 30 minutes.", "Wenn es zu dieser Adresse ein Konto gibt, ist eine E-Mail unterwegs. Was darin steht, gilt einmal, 30 Minuten lang.", "Si un compte existe pour cette adresse, un e-mail est en route. Son contenu est valable une fois, pendant 30 minutes.";
    code_enter: "Enter the code", "Code eingeben", "Saisir le code";
    code: "Code", "Code aus der E-Mail", "Code de l’e-mail";
    code_hint: "The eight digits in the mail.", "Die acht Ziffern in der E-Mail.", "Les huit chiffres de l’e-mail.";
    reset: "Choose a new password", "Neues Passwort wählen", "Choisir un nouveau mot de passe";
    reset_lead: "You will be signed out everywhere else.", "Sie werden überall sonst abgemeldet.", "Vous serez déconnecté partout ailleurs.";
    reset_action: "Change password", "Passwort ändern", "Changer le mot de passe";
    reset_done: "Your password is changed", "Ihr Passwort ist geändert", "Votre mot de passe est changé";
    reset_done_text: "You are signed out everywhere. Sign in with the new password.", "Sie sind überall abgemeldet. Melden Sie sich mit dem neuen Passwort an.", "Vous êtes déconnecté partout. Connectez-vous avec le nouveau mot de passe.";
    verify: "Confirm your address", "Adresse bestätigen", "Confirmer votre adresse e-mail";
    verify_lead: "So that we know mail to you arrives.", "Damit wir wissen, dass E-Mails Sie erreichen.", "Pour savoir que nos e-mails vous parviennent.";
    verify_action: "Confirm", "Bestätigen", "Confirmer";
    verify_done: "Your e-mail address is confirmed", "Ihre E-Mail-Adresse ist bestätigt", "Votre adresse e-mail est confirmée";
    verify_done_text: "Thank you. There is nothing more to do.", "Danke. Mehr ist nicht zu tun.", "Merci. Vous n’avez rien d’autre à faire.";
    to_account: "To your account", "Zu Ihrem Konto", "Vers votre compte";

    // Password.
    password_lead: "All other devices are signed out when you change it.", "Wenn Sie es ändern, werden alle anderen Geräte abgemeldet.", "Si vous le changez, tous les autres appareils seront déconnectés.";
    password_current: "Current password", "Jetziges Passwort", "Mot de passe actuel";
    password_new: "New password", "Neues Passwort", "Nouveau mot de passe";
    password_action: "Change password", "Passwort ändern", "Changer le mot de passe";
    password_done: "Your password is changed. All other devices are signed out.", "Ihr Passwort ist geändert. Alle anderen Geräte sind abgemeldet.", "Votre mot de passe est changé. Tous les autres appareils sont déconnectés.";
    password_wrong: "This is not your current password.", "Das ist nicht Ihr jetziges Passwort.", "Ce n’est pas votre mot de passe actuel.";
    password_common: "Too many people use this password. Choose another one.", "Dieses Passwort benutzen zu viele. Wählen Sie ein anderes.", "Ce mot de passe est trop répandu. Choisissez-en un autre.";
    password_breached: "This password is known from a data breach. Choose another one.", "Dieses Passwort ist aus einem Datenleck bekannt. Wählen Sie ein anderes.", "Ce mot de passe provient d’une fuite de données. Choisissez-en un autre.";
    password_weak: "This password is easy to guess. Add another word or two.", "Dieses Passwort ist leicht zu erraten. Nehmen Sie ein, zwei Wörter dazu.", "Ce mot de passe est facile à deviner. Ajoutez un ou deux mots.";
    proof_refused: "The code or link is wrong, was used before, or is too old. Ask for a new one.", "Der Code oder Link ist falsch, schon benutzt oder zu alt. Fordern Sie einen neuen an.", "Le code ou le lien est incorrect, déjà utilisé ou trop ancien. Demandez-en un nouveau.";

    // Account: the frame and the overview.
    account_menu: "Your account", "Ihr Konto", "Votre compte";
    overview: "Overview", "Übersicht", "Aperçu";
    overview_lead: "Who you are here, and what protects your account.", "Wer Sie hier sind und was Ihr Konto schützt.", "Qui vous êtes ici et ce qui protège votre compte.";
    profile: "Profile", "Profil", "Profil";
    username_plain: "Username", "Benutzername", "Nom d’utilisateur";
    none: "None", "Keiner", "Aucun";
    member_since: "Member since", "Mitglied seit", "Membre depuis";
    organizations: "Organizations", "Organisationen", "Organisations";
    no_organizations: "You do not belong to an organization.", "Sie gehören zu keiner Organisation.", "Vous n’appartenez à aucune organisation.";
    role_owner: "Owner", "Inhaber", "Propriétaire";
    role_admin: "Admin", "Verwaltung", "Administration";
    role_member: "Member", "Mitglied", "Membre";
    security: "Security", "Sicherheit", "Sécurité";
    email_verified: "Verified", "Bestätigt", "Vérifiée";
    email_unverified: "Not verified yet", "Noch nicht bestätigt", "Pas encore vérifiée";
    password_changed: "Changed {}", "Geändert: {}", "Modifié : {}";
    password_set: "Set when the account was created", "Beim Anlegen des Kontos gesetzt", "Défini à la création du compte";
    show_all: "Show all", "Alle zeigen", "Tout afficher";

    // Devices.
    devices: "Devices", "Geräte", "Appareils";
    devices_lead: "Where you are signed in. End what you do not recognize.", "Wo Sie angemeldet sind. Beenden Sie, was Sie nicht kennen.", "Où vous êtes connecté. Mettez fin à ce que vous ne reconnaissez pas.";
    devices_one: "1 device", "1 Gerät", "1 appareil";
    devices_many: "{} devices", "{} Geräte", "{} appareils";
    this_device: "This device", "Dieses Gerät", "Cet appareil";
    unknown_device: "Unknown device", "Unbekanntes Gerät", "Appareil inconnu";
    device_on: "{} on {}", "{} unter {}", "{} sous {}";
    signed_in_at: "Signed in {}", "Angemeldet: {}", "Connecté : {}";
    last_used: "Last used {}", "Zuletzt benutzt: {}", "Dernière utilisation : {}";
    end_session: "Sign out", "Abmelden", "Déconnecter";
    end_session_of: "Sign out {}", "{} abmelden", "Déconnecter {}";
    end_others: "Sign out all other devices", "Alle anderen Geräte abmelden", "Déconnecter tous les autres appareils";
    no_others: "You are signed in nowhere else.", "Sie sind sonst nirgends angemeldet.", "Vous n’êtes connecté nulle part ailleurs.";
    session_ended: "That device is signed out.", "Das Gerät ist abgemeldet.", "L’appareil est déconnecté.";
    others_ended: "All other devices are signed out.", "Alle anderen Geräte sind abgemeldet.", "Tous les autres appareils sont déconnectés.";

    // Activity.
    activity: "Activity", "Verlauf", "Activité";
    activity_lead: "The last events of your account.", "Die letzten Ereignisse Ihres Kontos.", "Les derniers événements de votre compte.";
    no_activity: "Nothing has happened yet.", "Noch ist nichts geschehen.", "Rien ne s’est encore passé.";
    from_address: "from {}", "von {}", "depuis {}";

    // Time.
    just_now: "just now", "gerade eben", "à l’instant";
    minutes_ago: "{} min ago", "vor {} Min.", "il y a {} min";
    hours_ago: "{} h ago", "vor {} Std.", "il y a {} h";

    // Refusals. The fallback stands where a refusal has no text of its own.
    refused: "That did not work. Check what you typed and try again.", "Das hat nicht geklappt. Prüfen Sie Ihre Eingaben und versuchen Sie es noch einmal.", "Cela n’a pas fonctionné. Vérifiez votre saisie et réessayez.";
    login_refused: "The e-mail address or the password is wrong.", "E-Mail-Adresse oder Passwort ist falsch.", "L’adresse e-mail ou le mot de passe est incorrect.";
    login_missing: "Enter your e-mail address or username.", "Geben Sie Ihre E-Mail-Adresse oder Ihren Benutzernamen ein.", "Saisissez votre adresse e-mail ou votre nom d’utilisateur.";
    password_missing: "Enter your password.", "Geben Sie Ihr Passwort ein.", "Saisissez votre mot de passe.";
    email_malformed: "This does not look like an e-mail address.", "Das sieht nicht nach einer E-Mail-Adresse aus.", "Cela ne ressemble pas à une adresse e-mail.";
    username_malformed: "A username has 1 to 64 letters, digits, dots, hyphens and underscores.", "Ein Benutzername hat 1 bis 64 Buchstaben, Ziffern, Punkte, Binde- und Unterstriche.", "Un nom d’utilisateur comporte de 1 à 64 lettres, chiffres, points, tirets et traits de soulignement.";
    username_taken: "Another user has this username.", "Diesen Benutzernamen hat schon jemand.", "Ce nom d’utilisateur est déjà pris.";
    password_length: "The password must have 8 to 128 characters.", "Das Passwort muss 8 bis 128 Zeichen haben.", "Le mot de passe doit comporter de 8 à 128 caractères.";
    rate_limited: "Too many attempts. Wait a moment and try again.", "Zu viele Versuche. Warten Sie einen Moment und versuchen Sie es noch einmal.", "Trop de tentatives. Patientez un instant et réessayez.";
    unavailable: "The server cannot answer right now. Try again in a moment.", "Der Server kann gerade nicht antworten. Versuchen Sie es gleich noch einmal.", "Le serveur ne peut pas répondre pour le moment. Réessayez dans un instant.";

    // Error pages.
    forged_title: "This form is out of date", "Dieses Formular ist veraltet", "Ce formulaire est périmé";
    forged: "It was open for too long, or another page sent it. Nothing was changed. Open the page anew and try again.", "Es war zu lange offen, oder eine andere Seite hat es gesendet. Nichts wurde geändert. Öffnen Sie die Seite neu und versuchen Sie es noch einmal.", "Il est resté ouvert trop longtemps ou une autre page l’a envoyé. Rien n’a été modifié. Rouvrez la page et réessayez.";
    nothing_here_title: "There is nothing here", "Hier ist nichts", "Il n’y a rien ici";
    nothing_here: "Perhaps the address was mistyped, or what stood here is gone.", "Vielleicht ist die Adresse vertippt, oder was hier stand, ist nicht mehr da.", "L’adresse est peut-être mal saisie, ou ce qui se trouvait ici n’existe plus.";
    failed_title: "That did not work", "Das hat nicht geklappt", "Cela n’a pas fonctionné";
    correlation: "Reference for support: {}", "Kennung für Rückfragen: {}", "Référence pour l’assistance : {}";
    to_start: "To the start page", "Zur Startseite", "Vers la page d’accueil";
}

impl Messages {
    /// The text of a refusal, by its word.
    pub(crate) fn refusal(&self, word: &str) -> &'static str {
        match word {
            "login_refused" => self.login_refused,
            "email_length" | "email_malformed" => self.email_malformed,
            "username_malformed" => self.username_malformed,
            "username_taken" => self.username_taken,
            "password_length" => self.password_length,
            "password_wrong" => self.password_wrong,
            "password_common" => self.password_common,
            "password_breached" => self.password_breached,
            "password_weak" => self.password_weak,
            "proof_refused" | "proof_malformed" => self.proof_refused,
            "second_factor_refused" => self.factor_refused,
            "code_missing" => self.code_missing,
            "passkey_refused" => self.passkey_refused,
            "user_not_verified" => self.passkey_unverified,
            "passkey_malformed" => self.passkey_malformed,
            "second_factor_missing" => self.code_missing,
            "reauth_required" => self.prove,
            "sign_in_over" => self.sign_in_over,
            "rate_limited" => self.rate_limited,
            "unavailable" => self.unavailable,
            "page_forged" => self.forged,
            "not_found" => self.nothing_here,
            _ => self.refused,
        }
    }
}

/// A text with its gaps filled, in order.
pub(crate) fn filled(text: &str, values: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values) {
        whole.push_str(value);
        whole.push_str(part);
    }
    whole
}

/// A text with its one gap filled, for templates.
pub(crate) fn with(text: &str, value: &str) -> String {
    filled(text, &[value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_the_same_gaps_in_every_language_and_none_is_empty() {
        for (name, texts) in ROWS {
            let gaps = texts.map(|text| text.matches("{}").count());
            assert!(gaps.iter().all(|count| *count == gaps[0]), "{name}");
            assert!(texts.iter().all(|text| !text.trim().is_empty()), "{name}");
        }
    }

    #[test]
    fn translations_are_translated() {
        // Words that are spelled alike.
        const ALIKE: [&str; 3] = ["profile", "organizations", "passkeys"];
        for (name, [en, de, fr]) in ROWS {
            let is_alike = en == de || en == fr;
            assert!(!is_alike || ALIKE.contains(name), "{name}: {en}");
        }
    }

    #[test]
    fn gaps_are_filled_in_order() {
        assert_eq!(filled("{} on {}.", &["A", "{}"]), "A on {}.");
        assert_eq!(filled("none", &["A"]), "none");
    }
}
