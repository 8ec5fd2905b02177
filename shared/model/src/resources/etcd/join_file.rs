//! What etcd is told for its first start: as whom, and into which cluster.

/// Environment of the unit. Once there is data, etcd ignores all of it but the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JoinFile {
    pub(super) name: String,
    /// Names and peer URLs.
    pub(super) cluster: Vec<(String, String)>,
    pub(super) founding: bool,
    pub(super) token: String,
}

const NAME: &str = "ETCD_NAME=";

impl JoinFile {
    pub(super) fn text(&self) -> String {
        let members = self
            .cluster
            .iter()
            .map(|(name, url)| format!("{name}={url}"));
        let members = members.collect::<Vec<_>>().join(",");
        let state = if self.founding { "new" } else { "existing" };
        format!(
            "# For the first start: once there is data, only the name counts.\n\
             {NAME}{}\n\
             ETCD_INITIAL_CLUSTER={members}\n\
             ETCD_INITIAL_CLUSTER_STATE={state}\n\
             ETCD_INITIAL_CLUSTER_TOKEN={}\n",
            self.name, self.token
        )
    }

    /// The member that a file names.
    pub(super) fn name_in(text: &str) -> Option<&str> {
        let line = text.lines().find_map(|line| line.strip_prefix(NAME));
        line.filter(|name| !name.is_empty())
    }
}
