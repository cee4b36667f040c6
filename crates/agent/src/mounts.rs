//! Whether the host sees what the agent mounts: the files of network namespaces, under `/run/netns`.
//!
//! The host's own mounts are those of its first process. What the agent mounts is seen there if the folder lies on the same
//! mount for both, or on two that tell each other of what is mounted ("peers", see mount_namespaces(7)).

use std::fs;

/// Where the files of network namespaces are.
const FOLDER: &str = "/run/netns";

/// Where mounts end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The host sees them.
    Host,
    /// Nobody but the agent sees them, and they end with it.
    AgentOnly,
}

/// What somebody has for the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mount {
    /// Its number, the same for everybody who has this very mount.
    id: u64,
    /// The group of mounts that tell each other what is mounted.
    peers: Option<u64>,
    /// It is told what others mount, and tells them nothing.
    follows: bool,
}

/// Says it loudly if the host will not see the namespaces that the agent makes.
///
/// It is no reason not to start: what is in a lab or a container of one's own may be meant so, and what the agent does with
/// links that others make needs no mounts.
pub fn warn_if_unseen() {
    let mounts = |process: &str| fs::read_to_string(format!("/proc/{process}/mountinfo")).ok();
    if let Some(own) = mounts("self")
        && reach(&own, mounts("1").as_deref()) == Reach::AgentOnly
    {
        tracing::error!(
            folder = FOLDER,
            "the host does not see the network namespaces that this agent makes, and they end with it: the agent has a \
             mount namespace of its own; take out of its unit what gives it one, as ProtectSystem=, PrivateTmp= or \
             MountFlags="
        );
    }
}

/// Where mounts end up, by `/proc/PID/mountinfo` of the agent and of the host's first process, if that can be read.
fn reach(own: &str, first: Option<&str>) -> Reach {
    let Some(own) = mount_of(own) else { return Reach::Host };
    match first.and_then(mount_of) {
        Some(first) if own.id == first.id || (own.peers.is_some() && own.peers == first.peers) => Reach::Host,
        Some(_) => Reach::AgentOnly,
        None if own.follows => Reach::AgentOnly,
        // Nothing is known of the host.
        None => Reach::Host,
    }
}

/// The mount on which the folder lies; see proc_pid_mountinfo(5).
fn mount_of(mountinfo: &str) -> Option<Mount> {
    let is_above = |point: &str| {
        FOLDER
            .strip_prefix(point.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mounts = mountinfo.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').take_while(|field| *field != "-").collect();
        let point = fields.get(4).filter(|point| is_above(point))?;
        let tag = |name: &str| fields.iter().skip(6).find_map(|field| field.strip_prefix(name)?.parse().ok());
        let mount = Mount {
            id: fields.first()?.parse().ok()?,
            peers: tag("shared:"),
            follows: tag("master:").is_some(),
        };
        Some((point.len(), mount))
    });
    // Of several at one place the last hides the others.
    mounts.max_by_key(|(length, _)| *length).map(|(_, mount)| mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
25 22 0:23 / /run rw,nosuid shared:5 - tmpfs tmpfs rw
90 25 0:23 /netns /run/netns rw,nosuid shared:5 - tmpfs tmpfs rw
91 25 0:24 / /run/netnsx rw shared:7 - tmpfs tmpfs rw";

    #[test]
    fn who_has_the_mounts_of_the_host_is_seen_by_it() {
        assert_eq!(mount_of(HOST), Some(Mount { id: 90, peers: Some(5), follows: false }));
        assert_eq!(reach(HOST, Some(HOST)), Reach::Host);
        assert_eq!(reach(HOST, None), Reach::Host);
        let private = "22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw";
        assert_eq!(reach(private, Some(private)), Reach::Host, "a container's only mounts are its host's");
    }

    #[test]
    fn the_mounts_that_a_service_manager_gives_are_not_the_hosts() {
        // As ProtectSystem= leaves it: told what the host mounts, and shared again below.
        let protected = "\
422 1 254:1 / / rw,relatime shared:301 master:1 - ext4 /dev/vda1 rw
425 422 0:23 / /run rw,nosuid shared:305 master:5 - tmpfs tmpfs rw
490 425 0:23 /netns /run/netns rw,nosuid shared:305 master:5 - tmpfs tmpfs rw";
        assert_eq!(reach(protected, Some(HOST)), Reach::AgentOnly);
        assert_eq!(reach(protected, None), Reach::AgentOnly);
    }

    #[test]
    fn a_container_is_seen_if_its_folder_is_a_peer_of_the_hosts() {
        let container = |tag: &str| {
            format!(
                "700 1 0:60 / / rw - overlay overlay rw\n701 700 0:23 /netns /run/netns rw {tag}- tmpfs tmpfs rw"
            )
        };
        assert_eq!(reach(&container("shared:5 "), Some(HOST)), Reach::Host);
        assert_eq!(reach(&container(""), Some(HOST)), Reach::AgentOnly);
        assert_eq!(reach(&container("master:5 "), None), Reach::AgentOnly);
        assert_eq!(reach(&container(""), None), Reach::Host, "nothing is known of the host");
    }
}
