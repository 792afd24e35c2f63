//! What `strongroom up` says when the member serves: where everything is, what is on and what is off, what to do next.
//!
//! Owns these words and the client profile that goes with them. Never says of a protection that it is on when a setting
//! turned it off, and never prints a command that does not work as it stands.

use ctl::Profile;
use server::config::{Config, Security, Serves};
use server::pki::made::{self, Role};
use server::run::Facts;
use server::tls::{Clients, Settings, Source, Version};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// How clients reach the member.
#[derive(Clone, Copy, Debug)]
struct Protection<'a> {
    /// None for clear text.
    tls: Option<&'a Settings>,
    pki: &'a Path,
}

impl<'a> Protection<'a> {
    fn of(config: &'a Config) -> Self {
        let mut clients = config.listeners.iter().filter(|each| {
            matches!(each.serves, Serves::Clients(serves) if serves != server::listen::Serves::Metrics)
        });
        let tls = clients.find_map(|listener| match &listener.security {
            Security::Tls(settings) => Some(settings),
            _ => None,
        });
        Self { tls, pki: &config.pki.dir }
    }

    fn is_made(self, source: &Source) -> bool {
        matches!(source, Source::File(path) if path.starts_with(self.pki))
    }

    /// Whether the member shows a certificate of its own authority.
    fn server_is_made(self) -> bool {
        self.tls.is_some_and(|tls| self.is_made(&tls.certificate))
    }

    /// Whether it takes the made administrator's certificate.
    fn administrator_is_made(self) -> bool {
        self.tls.is_some_and(|tls| tls.client_ca.as_ref().is_some_and(|ca| self.is_made(ca)))
    }
}

/// The settings with which the commands of this user find the member. What was not made here cannot be known.
pub(crate) fn profile(config: &Config, facts: &Facts) -> Profile {
    let protection = Protection::of(config);
    let pki = std::path::absolute(protection.pki).unwrap_or_else(|_| protection.pki.to_owned());
    let administrator = protection.administrator_is_made();
    Profile {
        endpoints: facts.client_urls.clone(),
        ca: protection.server_is_made().then(|| made::root(&pki)),
        cert: administrator.then(|| made::certificate(&pki, Role::Administrator)),
        key: administrator.then(|| made::key(&pki, Role::Administrator)),
    }
}

/// Prints it all. `profile` is where the profile was written.
pub(crate) fn print(config: &Config, facts: &Facts, profile: Option<&Path>) {
    print!("{}", text(Protection::of(config), facts, profile, &program()));
}

fn text(protection: Protection<'_>, facts: &Facts, profile: Option<&Path>, program: &str) -> String {
    // Another terminal has another directory.
    let whole =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let path = |path: Option<&Path>, absent: &str| path.map_or_else(|| absent.to_owned(), whole);
    let made = protection.server_is_made() || protection.administrator_is_made();
    let mut on = Vec::new();
    let mut off = Vec::new();
    match protection.tls {
        None => off.push("TLS (--insecure-clear-text), so that requests for data are denied"),
        Some(tls) => {
            let versions = if tls.min_version == Version::Tls12 { "1.2 and 1.3" } else { "1.3" };
            let mutual = if tls.clients == Clients::Anyone { "TLS" } else { "mutual TLS" };
            on.push(format!("{mutual} {versions}"));
            if tls.clients == Clients::Anyone {
                off.push("the demand for clients' certificates (--insecure-no-client-certificates)");
            }
        }
    }
    if made {
        on.push("own certificate authority".to_owned());
    }
    if facts.access_control {
        on.push("access control".to_owned());
    } else {
        off.push("access control");
    }
    on.push("every byte on disk sealed".to_owned());

    let mut out = format!(
        "\nStrongroom serves as member {name} ({origin}).\n\
         \n  clients      {urls}\
         \n  data         {data}\
         \n  sealing key  {key}\n",
        name = facts.name,
        origin = if facts.is_new { "made now" } else { "found" },
        urls = facts.client_urls.join(", "),
        data = whole(&facts.data_dir),
        key = path(facts.key.as_deref(), "found"),
    );
    if made {
        let _ = writeln!(out, "  certificates {}", whole(protection.pki));
        let recovery = made::recovery_key(protection.pki);
        if recovery.exists() {
            let _ = writeln!(out, "  recovery key {}  move it off this machine", whole(&recovery));
        }
    }
    let _ = writeln!(out, "  profile      {}\n\n  on: {}", path(profile, "none"), on.join(", "));
    for each in off {
        let _ = writeln!(out, "  OFF: {each}");
    }
    let with = match (protection.server_is_made(), protection.administrator_is_made()) {
        (true, true) => "with the made certificates, no flag needed",
        (false, true) => "with --cacert and the CA of your server certificate",
        (true, false) => "with --cert and --key of an administrator of your CA",
        (false, false) => "with --cacert, --cert and --key of your CA",
    };
    let put = format!("{program} put hello world");
    let get = format!("{program} get hello");
    let env = format!("eval \"$({program} env)\"");
    let wide = put.len().max(env.len()).max(34);
    out.push_str("\nNext, in another terminal:\n\n");
    if protection.tls.is_none() {
        let _ = writeln!(out, "  {program} endpoint health\n");
    } else {
        let _ = writeln!(out, "  {put:wide$}  {with}\n  {get}");
        let _ = writeln!(out, "  {env:wide$}  then any etcd client: etcdctl put hello world\n");
    }
    out
}

/// What to type to call this program again: its name where the shell finds it by that, else its path.
fn program() -> String {
    let Some(this) = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok()) else {
        return "strongroom".to_owned();
    };
    let search = std::env::var_os("PATH").unwrap_or_default();
    called(&this, &std::env::split_paths(&search).collect::<Vec<_>>())
}

fn called(this: &Path, search: &[PathBuf]) -> String {
    let found = search.iter().map(|directory| directory.join("strongroom")).find(|path| path.is_file());
    if found.and_then(|path| path.canonicalize().ok()).as_deref() == Some(this) {
        return "strongroom".to_owned();
    }
    let text = this.display().to_string();
    let is_plain = text.chars().all(|each| each.is_ascii_alphanumeric() || "/._-+".contains(each));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKI: &str = "/d-pki";

    fn settings(certificate: &str, clients: Clients) -> Settings {
        let file = |name: &str| Source::File(PathBuf::from(name));
        let client_ca = Some(file("/d-pki/clients.crt"));
        Settings { clients, client_ca, ..Settings::new(file(certificate), file("/k")) }
    }

    fn said(tls: Option<&Settings>) -> String {
        let facts = Facts {
            name: "m".into(),
            data_dir: "/d".into(),
            key: Some("/keys/a.key".into()),
            is_new: false,
            client_urls: vec!["https://127.0.0.1:2379".into()],
            access_control: true,
        };
        text(Protection { tls, pki: Path::new(PKI) }, &facts, None, "/opt/strongroom")
    }

    /// A protection that a flag turned off is named as off: who reads "on: mutual TLS" must be able to rely on it.
    #[test]
    fn what_is_off_is_never_said_to_be_on() {
        let usual = settings("/d-pki/server.crt", Clients::Explained);
        assert!(said(Some(&usual)).contains("on: mutual TLS 1.3, own certificate authority, access control"));
        assert!(!said(Some(&usual)).contains("OFF"));

        let clear = said(None);
        assert!(clear.contains("OFF: TLS (--insecure-clear-text)"), "{clear}");
        assert!(!clear.contains("mutual") && !clear.contains("own certificate") && !clear.contains(" put "));

        let anyone = said(Some(&settings("/d-pki/server.crt", Clients::Anyone)));
        assert!(anyone.contains("OFF: the demand for clients'") && !anyone.contains("mutual"), "{anyone}");

        let older = Settings { min_version: Version::Tls12, ..usual };
        assert!(said(Some(&older)).contains("on: mutual TLS 1.2 and 1.3,"));
    }

    /// Later starts name the key's place too, and a certificate from elsewhere is not promised to work without a flag.
    #[test]
    fn places_and_next_commands_are_those_in_force() {
        let usual = said(Some(&settings("/d-pki/server.crt", Clients::Explained)));
        assert!(usual.contains("sealing key  /keys/a.key\n"), "{usual}");
        assert!(
            usual.contains("  /opt/strongroom put hello world     with the made certificates"),
            "{usual}"
        );
        let foreign = said(Some(&settings("/mine.crt", Clients::Explained)));
        assert!(foreign.contains("with --cacert") && !foreign.contains("no flag needed"), "{foreign}");
    }

    /// The printed commands run as they stand: by name only where the shell would find this very program.
    #[test]
    fn the_program_is_called_so_that_the_shell_finds_it() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let this = place.join("strongroom");
        std::fs::write(&this, "").unwrap();
        assert_eq!(called(&this, &[PathBuf::from("/nowhere"), place.clone()]), "strongroom");
        assert_eq!(called(&this, &[]), this.display().to_string());
        assert_eq!(called(Path::new("/a b/it's"), &[place]), r"'/a b/it'\''s'");
    }
}
