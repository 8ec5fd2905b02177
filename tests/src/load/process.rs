//! A load process: started in the lab, told to stop by a file, its report read from its output.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

use crate::Lab;
use crate::fleet::program;
use crate::process::{self, Running};

/// It ends within its own time limits; this is for a machine that is very busy.
const STOPPING: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct LoadProcess {
    /// None once it was waited for.
    running: Option<Running>,
    stop: PathBuf,
}

impl Drop for LoadProcess {
    /// A scenario that fails leaves no load behind.
    fn drop(&mut self) {
        let _ = fs::write(&self.stop, "");
    }
}

impl LoadProcess {
    /// Starts `lab-load ARGUMENTS --stop FILE`; `name` tells it from others of this lab.
    pub(super) fn start(
        lab: &Lab,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let stop = lab.folder().join(format!("{name}.stop"));
        let _ = fs::remove_file(&stop);
        let load = program("lab-load")?;
        let mut command = lab.operator().command(&load.to_string_lossy());
        command
            .args(arguments)
            .arg("--stop")
            .arg(&stop)
            .envs(environment.iter().copied())
            .current_dir("/");
        Ok(Self {
            running: Some(process::start(&mut command)?),
            stop,
        })
    }

    /// Tells it to stop and reads its report.
    pub(super) fn stop<R: DeserializeOwned>(mut self) -> Result<R> {
        fs::write(&self.stop, "")
            .with_context(|| format!("cannot write {}", self.stop.display()))?;
        let running = self.running.take().context("it was stopped before")?;
        let output = running.wait(STOPPING);
        ensure!(output.code == 0, "the load ended with an error: {output}");
        serde_json::from_str(&output.stdout).with_context(|| format!("no report: {output}"))
    }
}

/// Whether it was told to stop.
pub(super) fn is_stopped(stop: &Path) -> bool {
    stop.exists()
}
