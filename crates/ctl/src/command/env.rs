//! `env`: the settings in use, for etcdctl and every other client that reads its variables.

use super::emit;
use crate::connect::endpoint::Scheme;
use crate::exit::Failure;
use crate::settings::Settings;
use clap::{Args, ValueEnum};
use std::path::Path;

/// `env [--format sh|fish|powershell|dotenv]`
#[derive(Args, Clone, Debug)]
pub struct Env {
    /// The language of the output
    #[arg(long, value_enum, default_value_t)]
    format: Language,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Language {
    #[default]
    Sh,
    Fish,
    Powershell,
    Dotenv,
}

impl Language {
    fn line(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}='{}'\n", value.replace('\'', r"'\''")),
            Self::Fish => format!("set -gx {name} '{}'\n", value.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Powershell => format!("$env:{name} = '{}'\n", value.replace('\'', "''")),
            Self::Dotenv => format!("{name}={value}\n"),
        }
    }
}

impl Env {
    pub(super) fn run(&self, settings: &Settings) -> Result<(), Failure> {
        if settings.ca.is_none() && settings.pair.is_none() && settings.profile.is_none() {
            return Err(Failure::error("no profile, and no certificates are named").hinting(
                "start a member with strongroom up, as this user; it writes the profile that is read here",
            ));
        }
        emit(self.render(settings)?.as_bytes())
    }

    fn render(&self, settings: &Settings) -> Result<String, Failure> {
        let text = |path: &Path| {
            // The variables outlive this directory.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let text = path.to_str().filter(|text| !text.contains('\n')).map(str::to_owned);
            text.ok_or_else(|| {
                Failure::error(format!("the path {} cannot be written as a variable", path.display()))
            })
        };
        let secure = settings.ca.is_some() || settings.pair.is_some();
        let endpoints: Vec<String> = settings
            .endpoints
            .iter()
            .map(|endpoint| match endpoint.scheme {
                Scheme::Unstated if secure => format!("https://{}", endpoint.written),
                _ => endpoint.written.clone(),
            })
            .collect();
        let mut out = self.format.line("ETCDCTL_ENDPOINTS", &endpoints.join(","));
        if let Some(ca) = &settings.ca {
            out += &self.format.line("ETCDCTL_CACERT", &text(ca)?);
        }
        if let Some((cert, key)) = &settings.pair {
            out += &self.format.line("ETCDCTL_CERT", &text(cert)?);
            out += &self.format.line("ETCDCTL_KEY", &text(key)?);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Global, Surroundings};

    /// The output is executed by a shell: a quote in a path must stay a quote, and etcdctl must find https.
    #[test]
    fn each_language_quotes_in_its_own_way() {
        let global = Global {
            endpoints: vec!["db:1".into(), "https://b:2".into()],
            cacert: Some("/it's/ca".into()),
            cert: Some("/c".into()),
            key: Some("/k".into()),
            ..Global::default()
        };
        let settings = Settings::resolve(&global, &Surroundings { variable: &|_| None }).unwrap();
        let render = |format| Env { format }.render(&settings).unwrap();
        assert_eq!(
            render(Language::Sh),
            "export ETCDCTL_ENDPOINTS='https://db:1,https://b:2'\nexport ETCDCTL_CACERT='/it'\\''s/ca'\nexport ETCDCTL_CERT='/c'\nexport ETCDCTL_KEY='/k'\n"
        );
        assert!(render(Language::Fish).contains(r"set -gx ETCDCTL_CACERT '/it\'s/ca'"));
        assert!(render(Language::Powershell).contains("$env:ETCDCTL_CACERT = '/it''s/ca'"));
        assert!(render(Language::Dotenv).contains("ETCDCTL_KEY=/k\n"));
    }
}
