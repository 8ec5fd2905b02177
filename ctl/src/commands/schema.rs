//! `ctl schema`: JSON Schemas of a state tree's files. Asks no server.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::error::CtlError;
use crate::exit::Exit;
use crate::output::Output;
use crate::tree;

const EXAMPLES: &str = "\
Examples:
  ctl schema role > .schemas/role.json
  ctl schema formula > .schemas/formula.json
  ctl schema data ./states > .schemas/data.json   # with the parameters of this tree's formulas

An editor with a YAML language server completes and checks with them; in VS Code's settings:
  \"yaml.schemas\": {
    \".schemas/role.json\": \"states/roles/*.yaml\",
    \".schemas/formula.json\": \"states/formulas/*/formula.yaml\",
    \".schemas/data.json\": \"states/data/**/*.yaml\" }

They know keys and types. What depends on other files is `ctl check`'s to find.";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemaArgs {
    /// Of which files
    #[arg(value_name = "FILES", value_enum)]
    pub files: Files,
    /// For data: the state tree whose formulas have the parameters
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Files {
    Role,
    Formula,
    Data,
}

/// # Errors
/// The tree cannot be read.
pub fn run(args: &SchemaArgs, output: &Output) -> Result<Exit, CtlError> {
    let schema = match (args.files, &args.folder) {
        (Files::Role, _) => brine_lang::schema::role(),
        (Files::Formula, _) => brine_lang::schema::formula(),
        (Files::Data, None) => brine_lang::schema::data(None),
        (Files::Data, Some(folder)) => {
            let folder = tree::folder(Some(folder.clone()), Path::new("."));
            brine_lang::schema::data(Some(&tree::load(&folder)?))
        }
    };
    output.data(&format!("{schema:#}\n"))?;
    Ok(Exit::Ok)
}
