//! Every environment variable that `ctl` looks at.

/// Path of the connection settings, instead of the usual places.
pub const CONFIG: &str = "BRINE_CTL_CONFIG";
/// Where people keep their settings; `~/.config` where it is not set.
pub const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
pub const HOME: &str = "HOME";
/// Any text in it turns colours off (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";
/// `dumb` turns colours off.
pub const TERM: &str = "TERM";
