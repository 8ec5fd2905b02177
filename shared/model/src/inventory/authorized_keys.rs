//! Who may log in by an SSH key.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};

use super::{Machine, Row, Table, column, passwd};

pub(super) const TABLE: Table = Table {
    name: "authorized_keys",
    doc: "A key in an account's ~/.ssh/authorized_keys.",
    columns: &[
        column("user", "the account"),
        column("fingerprint", "as `ssh-keygen -l` shows it: SHA256:…"),
        column("type", "ssh-ed25519, ssh-rsa, …"),
        column("comment", "what stands behind the key"),
        column("options", "what stands before it: command=…, from=…"),
    ],
    key: 2,
    asked: &[],
    times: &[],
    fleeting: &[],
    collect,
};

/// sshd takes keys with padding and without.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const FILES: [&str; 2] = ["authorized_keys", "authorized_keys2"];

fn collect(machine: &dyn Machine) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for user in passwd::entries(machine, "/etc/passwd", 7)? {
        for file in FILES {
            let text = machine.text(&format!("{}/.ssh/{file}", user[5].trim_end_matches('/')));
            let keys = text.unwrap_or_default();
            rows.extend(keys.lines().filter_map(|line| row(&user[0], line, machine)));
        }
    }
    Ok(rows)
}

/// `[options] type base64 [comment]` (sshd(8)).
fn row(user: &str, line: &str, machine: &dyn Machine) -> Option<Row> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let is_type = |word: &str| {
        let word = word.split('@').next().unwrap_or_default();
        ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
            .iter()
            .any(|start| word.starts_with(start))
    };
    let (options, rest) = if is_type(line) {
        ("", line)
    } else {
        line.split_at(end_of_options(line)?)
    };
    let mut words = rest.trim_start().splitn(3, ' ');
    let kind = words.next().filter(|word| is_type(word))?;
    let key = KEYS.decode(words.next()?).ok()?;
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(machine.sha256(&key)));
    Some(vec![
        user.into(),
        fingerprint.into(),
        kind.into(),
        words.next().unwrap_or_default().trim().into(),
        options.trim().into(),
    ])
}

/// The first space that is in no quotes.
fn end_of_options(line: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    line.find(|c: char| {
        let ends = c.is_ascii_whitespace() && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}
