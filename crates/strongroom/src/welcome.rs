//! What `strongroom up` says when the member serves: where everything is, what is on, what to do next.

use server::config::Config;
use server::run::Facts;
use std::path::Path;

pub(crate) fn print(config: &Config, facts: &Facts, profile: Option<&Path>) {
    let made = if facts.new_key.is_some() { "made now" } else { "found" };
    let key = facts.new_key.as_ref().map_or_else(|| "found".to_owned(), |path| path.display().to_string());
    println!(
        "\nStrongroom serves as member {name} ({made}).\n\
         \n  clients      {urls}\
         \n  data         {data}\
         \n  sealing key  {key}\
         \n  certificates {pki}\
         \n  profile      {profile}\n\
         \n  on: mutual TLS 1.3, own certificate authority, {access}, every byte on disk sealed\n\
         \nNext, in another terminal:\n\
         \n  strongroom put hello world          with the made certificates, no flag needed\
         \n  strongroom get hello\
         \n  eval \"$(strongroom env)\"            then any etcd client: etcdctl put hello world\n",
        name = facts.name,
        urls = facts.client_urls.join(", "),
        data = facts.data_dir.display(),
        pki = config.pki.dir.display(),
        profile = profile.map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
        access = if facts.access_control { "access control" } else { "NO access control" },
    );
}
