//! Flags: node_exporter's names for what it has too. On a command line, or one a line in a file.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use brine_node_metrics::collector::{Definition, Value};
use brine_node_metrics::options::Options;
use brine_node_metrics::{COLLECTORS, Roots, Selection};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What is collected, from where, and who may have it.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    pub(crate) roots: Roots,
    pub(crate) selection: Selection,
    /// `HOST:PORT`; none: nothing listens.
    pub(crate) listen: Vec<String>,
    /// A file with the bearer token that is asked for.
    pub(crate) token_file: Option<PathBuf>,
    /// Whether the agent tells of itself too.
    pub(crate) own: bool,
    /// Whether any was given.
    pub(crate) are_given: bool,
}

const PATHS: [(&str, &str, &str); 4] = [
    ("path.procfs", "/proc", "procfs mountpoint"),
    ("path.sysfs", "/sys", "sysfs mountpoint"),
    ("path.rootfs", "/", "rootfs mountpoint"),
    ("path.udev.data", "/run/udev/data", "udev data path"),
];

const LISTEN: &str = "web.listen-address";
const TOKEN: &str = "web.token-file";
const NOT_OWN: &str = "web.disable-exporter-metrics";
const NO_DEFAULTS: &str = "collector.disable-defaults";

/// Where node_exporter's options are not called as their collectors are.
const OTHER_NAMES: [(&str, &str); 3] = [
    (
        "collector.powersupplyclass.ignored-supplies",
        "collector.powersupply.ignored-supplies",
    ),
    (
        "collector.qdisc.device-include",
        "collector.qdisk.device-include",
    ),
    (
        "collector.qdisc.device-exclude",
        "collector.qdisk.device-exclude",
    ),
];

impl Flags {
    /// Out of a file: one flag a line; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// A line is no flag; the words say which, and what to do.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<&str> = lines.collect();
        if let Some(line) = lines.iter().find(|line| is_quoted(line)) {
            return Err(format!(
                "{line}: quotes would be a part of the value: leave them out"
            ));
        }
        let command = Self::augment_args(Command::new("metrics").no_binary_name(true));
        let matches = command.try_get_matches_from(lines).map_err(|error| {
            let words = error.to_string();
            let first = words.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        })?;
        Self::from_arg_matches(&matches).map_err(|error| error.to_string())
    }
}

/// As somebody has it who copies from a shell.
fn is_quoted(line: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else {
        return line.starts_with(['"', '\'']);
    };
    ['"', '\'']
        .iter()
        .any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote))
}

/// The addresses behind a word: `10.0.0.5:9100`, `host:9100`, `:9100` for all.
///
/// # Errors
/// It is none, or the name has no address.
pub(crate) fn addresses(word: &str) -> std::io::Result<Vec<SocketAddr>> {
    if let Some(port) = word.strip_prefix(':')
        && let Ok(port) = port.parse()
    {
        // Which of them is there is a matter of the machine: the first that works is taken.
        return Ok(vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ]);
    }
    Ok(word.to_socket_addrs()?.collect())
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let command = command.next_help_heading("What is collected");
        let mut command = command.arg(
            Arg::new(NO_DEFAULTS)
                .long(NO_DEFAULTS)
                .action(ArgAction::SetTrue)
                .help("Only the collectors that are named"),
        );
        for definition in COLLECTORS {
            command = collector(command, definition);
        }
        command = command.next_help_heading("Where the machine is");
        for (name, default, help) in PATHS {
            let path = Arg::new(name).long(name).value_name("DIRECTORY");
            command = command.arg(path.default_value(default).help(help));
        }
        command
            .next_help_heading("Who may have it (for the agent's endpoint)")
            .arg(
                Arg::new(LISTEN)
                    .long(LISTEN)
                    .value_name("HOST:PORT")
                    .action(ArgAction::Append)
                    .value_parser(listen)
                    .help("Listen here; may be given several times. `:9100` is every address"),
            )
            .arg(
                Arg::new(TOKEN)
                    .long(TOKEN)
                    .value_name("FILE")
                    .value_parser(absolute)
                    .help("Ask for the bearer token in this file: 16 characters or more, without spaces"),
            )
            .arg(
                Arg::new(NOT_OWN)
                    .long(NOT_OWN)
                    .action(ArgAction::SetTrue)
                    .help("Leave out what the agent says of itself"),
            )
            .next_help_heading(None)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// `--collector.NAME`, `--no-collector.NAME`, and its options.
fn collector(mut command: Command, definition: &'static Definition) -> Command {
    let name = definition.name;
    let usual = if definition.enabled { "on" } else { "off" };
    command = switch(
        command,
        format!("collector.{name}"),
        format!("The collector {name} (default: {usual})"),
    );
    for option in definition.options {
        let flag = format!("collector.{name}.{}", option.name);
        let help = option.help.trim_end_matches('.');
        command = match option.default {
            Value::Switch(on) => {
                let usual = if on { "on" } else { "off" };
                switch(command, flag, format!("{help} (default: {usual})"))
            }
            Value::Text(default) => {
                let default = match default {
                    "" => String::new(),
                    default => format!(" [default: {default}]"),
                };
                let other = OTHER_NAMES.iter().filter(|(known, _)| *known == flag);
                command.arg(
                    Arg::new(flag.clone())
                        .visible_aliases(other.map(|(_, other)| *other))
                        .long(flag)
                        .value_name("VALUE")
                        .action(ArgAction::Append)
                        .allow_hyphen_values(true)
                        .help(format!("{help}{default}")),
                )
            }
        };
    }
    command
}

/// A flag, and one that takes it back: the last one counts.
fn switch(command: Command, flag: String, help: String) -> Command {
    let off = format!("no-{flag}");
    command
        .arg(
            Arg::new(flag.clone())
                .long(flag.clone())
                .action(ArgAction::SetTrue)
                .overrides_with(off.clone())
                .help(help),
        )
        .arg(
            Arg::new(off.clone())
                .long(off)
                .action(ArgAction::SetTrue)
                .overrides_with(flag)
                .hide(true),
        )
}

fn listen(word: &str) -> Result<String, String> {
    let Some((_, port)) = word.rsplit_once(':') else {
        return Err("expected HOST:PORT".to_owned());
    };
    match port.parse::<u16>() {
        Ok(_) => Ok(word.to_owned()),
        Err(_) => Err(format!("`{port}` is no port")),
    }
}

fn absolute(word: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(word);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err("expected a path from / on".to_owned())
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let path = |name: &str| -> PathBuf {
            let word = matches.get_one::<String>(name);
            word.map(PathBuf::from).unwrap_or_default()
        };
        let roots = Roots {
            procfs: path("path.procfs"),
            sysfs: path("path.sysfs"),
            rootfs: path("path.rootfs"),
            udev: path("path.udev.data"),
        };
        let mut selection = Selection {
            no_defaults: matches.get_flag(NO_DEFAULTS),
            ..Selection::default()
        };
        for definition in COLLECTORS {
            let name = format!("collector.{}", definition.name);
            if let Some(on) = said(matches, &name) {
                selection.named.push((definition.name, on));
            }
            let mut options = Options::of(definition);
            for option in definition.options {
                let flag = format!("{name}.{}", option.name);
                match option.default {
                    Value::Switch(_) => {
                        if let Some(on) = said(matches, &flag) {
                            options.set(option.name, on.to_string());
                        }
                    }
                    Value::Text(_) => {
                        for text in matches.get_many::<String>(&flag).into_iter().flatten() {
                            options.set(option.name, text);
                        }
                    }
                }
            }
            // Found out now, and not when the first scrape comes.
            (definition.new)(&options).map_err(|invalid| {
                clap::Error::raw(
                    clap::error::ErrorKind::ValueValidation,
                    format!("{invalid}\n"),
                )
            })?;
            selection.options.push((definition.name, options));
        }
        let listen = matches.get_many::<String>(LISTEN);
        Ok(Self {
            roots,
            selection,
            listen: listen.map(|all| all.cloned().collect()).unwrap_or_default(),
            token_file: matches.get_one::<PathBuf>(TOKEN).cloned(),
            own: !matches.get_flag(NOT_OWN),
            are_given: are_given(matches),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn are_given(matches: &ArgMatches) -> bool {
    const OURS: [&str; 4] = ["collector.", "no-collector.", "path.", "web."];
    matches.ids().any(|id| {
        OURS.iter().any(|ours| id.as_str().starts_with(ours))
            && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine)
    })
}

/// What was said of a switch, if anything.
fn said(matches: &ArgMatches, flag: &str) -> Option<bool> {
    if matches.get_flag(flag) {
        Some(true)
    } else if matches.get_flag(&format!("no-{flag}")) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_flag_a_line() {
        let flags = Flags::parse(
            "# who may have it\n\n--web.listen-address=10.0.0.5:9100\n  --web.token-file=/etc/brine/metrics.token\n--no-collector.loadavg\n--collector.filesystem.fs-types-exclude=^(a b|c)$\n--path.procfs=/host/proc\n",
        )
        .unwrap();
        assert_eq!(flags.listen, ["10.0.0.5:9100"]);
        assert_eq!(flags.token_file, Some("/etc/brine/metrics.token".into()));
        assert_eq!(flags.roots.procfs, PathBuf::from("/host/proc"));
        assert_eq!(flags.roots.sysfs, PathBuf::from("/sys"));
        assert_eq!(flags.selection.named, [("loadavg", false)]);
        let options = &flags.selection.options;
        let (_, options) = options
            .iter()
            .find(|(name, _)| *name == "filesystem")
            .unwrap();
        assert_eq!(options.text("fs-types-exclude"), "^(a b|c)$");
        assert!(flags.own && !flags.selection.no_defaults);
        assert!(Flags::parse("").unwrap().listen.is_empty());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for line in [
            "--collector.netdev.device-exclude=\"^lo$\"",
            "'--collector.loadavg'",
            "--web.token-file=token",
            "--web.token-file=",
        ] {
            assert!(Flags::parse(line).is_err(), "{line}");
        }
        let flags = Flags::parse("--collector.filesystem.mount-points-exclude=^/\"x").unwrap();
        assert!(flags.are_given);
        assert!(Flags::parse("--no-collector.loadavg").unwrap().are_given);
        assert!(!Flags::parse("").unwrap().are_given);
    }

    #[test]
    fn the_last_word_on_a_collector_counts() {
        let named = |text: &str| Flags::parse(text).unwrap().selection.named;
        assert_eq!(
            named("--collector.loadavg\n--no-collector.loadavg"),
            [("loadavg", false)]
        );
        assert_eq!(
            named("--no-collector.loadavg\n--collector.loadavg"),
            [("loadavg", true)]
        );
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, words) in [
            ("--collector.laodavg", "--collector.laodavg"),
            ("nonsense", "nonsense"),
            ("--web.listen-address=nowhere", "HOST:PORT"),
            ("--web.listen-address=host:port", "no port"),
            ("--collector.filesystem.mount-timeout=soon", "no duration"),
            (
                "--collector.filesystem.fs-types-exclude=(",
                "fs-types-exclude",
            ),
        ] {
            let error = Flags::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_are_names_numbers_or_all() {
        let all = ["[::]:9100", "0.0.0.0:9100"].map(|one| one.parse().unwrap());
        assert_eq!(addresses(":9100").unwrap(), all);
        assert_eq!(
            addresses("127.0.0.1:1").unwrap(),
            ["127.0.0.1:1".parse().unwrap()]
        );
        assert!(addresses("no such host:1").is_err());
    }
}
