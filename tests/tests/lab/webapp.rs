//! The application builds with Debian's Go.

#[test]
fn the_application_builds() {
    if std::env::var_os("BRINE_LAB").is_none() {
        return;
    }
    lab::prerequisites::ensure_installed().expect("the machine has what the lab needs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../states/formulas/webapp/app");
    let binary = lab::webapp::build(folder.as_ref()).expect("it builds");
    let bytes = std::fs::read(binary).expect("readable");
    assert_eq!(bytes.get(..4), Some(b"\x7fELF".as_slice()));
}
