//! Answers about members and endpoints as rows of cells, and the boxed table around them.
//!
//! Titles are upper case and centred, cells stand at the right. Only these answers have a table.

use super::text;
use crate::command::endpoint::{Hash, Health, State};
use proto::etcdserverpb as pb;

/// Rows as aligned columns.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut out = String::new();
    for row in rows {
        let cells =
            row.iter().enumerate().map(|(column, cell)| format!("{cell:<wide$}", wide = width(column)));
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// Titles and rows.
pub(super) struct Rows {
    titles: &'static [&'static str],
    /// The cells, row by row.
    pub(super) rows: Vec<Vec<String>>,
}

impl Rows {
    /// One line per row, the cells separated by commas: the simple form of the same answers.
    pub(super) fn lines(&self) -> String {
        self.rows.iter().map(|row| row.join(", ") + "\n").collect()
    }

    /// The boxed table.
    pub(super) fn boxed(&self) -> String {
        let titles: Vec<String> =
            self.titles.iter().map(|title| title.replace('_', " ").to_uppercase()).collect();
        let cells: Vec<Vec<&str>> =
            self.rows.iter().map(|row| row.iter().map(|cell| cell.trim()).collect()).collect();
        let widths: Vec<usize> = titles
            .iter()
            .enumerate()
            .map(|(column, title)| {
                let widest = cells.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
                widest.unwrap_or(0).max(width(title))
            })
            .collect();
        let mut out = rule(&widths, ['┌', '┬', '┐']);
        out += &line(titles.iter().zip(&widths).map(|(title, wide)| centred(title, *wide)));
        if !cells.is_empty() {
            out += &rule(&widths, ['├', '┼', '┤']);
        }
        for row in &cells {
            out += &line(row.iter().zip(&widths).map(|(cell, wide)| format!("{}{cell}", gap(*wide, cell))));
        }
        out + &rule(&widths, ['└', '┴', '┘'])
    }
}

/// A boxed table of these cells.
pub(crate) fn boxed(titles: &'static [&'static str], rows: Vec<Vec<String>>) -> String {
    Rows { titles, rows }.boxed()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn gap(wide: usize, text: &str) -> String {
    " ".repeat(wide.saturating_sub(width(text)))
}

fn centred(text: &str, wide: usize) -> String {
    let free = wide.saturating_sub(width(text));
    let left = free / 2;
    format!("{}{text}{}", " ".repeat(left), " ".repeat(free - left))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("│ {} │\n", cells.join(" │ "))
}

fn rule(widths: &[usize], [left, middle, right]: [char; 3]) -> String {
    let parts: Vec<String> = widths.iter().map(|wide| "─".repeat(wide + 2)).collect();
    format!("{left}{}{right}\n", parts.join(&middle.to_string()))
}

pub(super) fn members(members: &[pb::Member]) -> Rows {
    let rows = members.iter().map(|member| {
        vec![
            format!("{:x}", member.id),
            if member.name.is_empty() { "unstarted" } else { "started" }.into(),
            member.name.clone(),
            member.peer_ur_ls.join(","),
            member.client_ur_ls.join(","),
            member.is_learner.to_string(),
        ]
    });
    Rows {
        titles: &["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"],
        rows: rows.collect(),
    }
}

pub(super) fn health(list: &[Health]) -> Rows {
    let rows = list.iter().map(|health| {
        vec![health.endpoint.clone(), health.healthy.to_string(), health.took.clone(), health.error.clone()]
    });
    Rows { titles: &["endpoint", "health", "took", "error"], rows: rows.collect() }
}

pub(super) fn status(list: &[State]) -> Rows {
    let size = |bytes: i64| text::bytes(u64::try_from(bytes).unwrap_or(0));
    let rows = list.iter().map(|State { endpoint, answer }| {
        let member = answer.header.as_ref().map_or(0, |header| header.member_id);
        let used =
            i128::from(answer.db_size_in_use).saturating_mul(100).checked_div(i128::from(answer.db_size));
        let downgrade = answer.downgrade_info.clone().unwrap_or_default();
        vec![
            endpoint.clone(),
            format!("{member:x}"),
            answer.version.clone(),
            answer.storage_version.clone(),
            size(answer.db_size),
            size(answer.db_size_in_use),
            format!("{}%", used.map_or(0, |used| 100 - used)),
            size(answer.db_size_quota),
            (answer.leader == member).to_string(),
            answer.is_learner.to_string(),
            answer.raft_term.to_string(),
            answer.raft_index.to_string(),
            answer.raft_applied_index.to_string(),
            answer.errors.join(", "),
            downgrade.target_version,
            downgrade.enabled.to_string(),
        ]
    });
    let titles = &[
        "endpoint",
        "ID",
        "version",
        "storage version",
        "db size",
        "in use",
        "percentage not in use",
        "quota",
        "is leader",
        "is learner",
        "raft term",
        "raft index",
        "raft applied index",
        "errors",
        "downgrade target version",
        "downgrade enabled",
    ];
    Rows { titles, rows: rows.collect() }
}

pub(super) fn hash(list: &[Hash]) -> Rows {
    let rows = list.iter().map(|Hash { endpoint, answer }| {
        vec![endpoint.clone(), answer.hash.to_string(), answer.hash_revision.to_string()]
    });
    Rows { titles: &["endpoint", "hash", "hash_revision"], rows: rows.collect() }
}
