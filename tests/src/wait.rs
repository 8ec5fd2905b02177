//! Waiting for a state instead of sleeping.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks every 100 ms until it holds. It must be a lasting state, not an event that can be missed.
///
/// # Errors
/// It did not hold in time; says what was awaited and the last error.
pub fn wait_until(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let last = holds();
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            match last {
                Err(error) => bail!("waited {within:?} for {what}: {error:#}"),
                Ok(_) => bail!("waited {within:?} for {what}"),
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
