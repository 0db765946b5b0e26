//! Users and groups, as far as `/etc/passwd` (passwd(5)) and `/etc/group` (group(5)) know them.
//!
//! Directory services (LDAP, SSSD) may know more. So what these files do not tell is taken for unknown, and an unknown
//! group for one that has strangers in it.

use std::path::PathBuf;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user id.
    pub id: u32,
    /// The id of the primary group.
    pub group: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// The users and groups of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The users, in the file's order.
    pub users: Vec<User>,
    /// The id that stands for all users whom this user namespace does not know (user_namespaces(7)), where it knows
    /// only some: nobody in it can act as one of them.
    pub unmapped: Option<u32>,
    /// Group ids with the names of those who are members besides the users whose primary group it is.
    groups: Vec<(u32, Vec<String>)>,
}

impl Accounts {
    /// Reads this machine's files; one that cannot be read tells nothing.
    pub fn read() -> Accounts {
        let text = |path: &str| {
            std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
        };
        let unmapped = match knows_all(&text("/proc/self/uid_map")) {
            true => None,
            false => text("/proc/sys/kernel/overflowuid").trim().parse().ok(),
        };
        Accounts { unmapped, ..Accounts::parse(&text("/etc/passwd"), &text("/etc/group")) }
    }

    /// Reads the two files' texts. A line that does not parse is passed over.
    pub fn parse(passwd: &str, group: &str) -> Accounts {
        let user = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, id, group, _, home, shell] = fields[..] else { return None };
            Some(User {
                name: name.into(),
                id: id.parse().ok()?,
                group: group.parse().ok()?,
                home: home.into(),
                shell: shell.into(),
            })
        };
        let group_of = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, id, members] = fields[..] else { return None };
            let members = members.split(',').map(str::trim).filter(|name| !name.is_empty());
            Some((id.parse().ok()?, members.map(String::from).collect()))
        };
        Accounts {
            users: passwd.lines().filter_map(user).collect(),
            unmapped: None,
            groups: group.lines().filter_map(group_of).collect(),
        }
    }

    /// The user with this id.
    pub fn user(&self, id: u32) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// A user's name, else the number.
    pub fn name(&self, id: u32) -> String {
        self.user(id).map_or_else(|| id.to_string(), |user| user.name.clone())
    }

    /// Whether for certain nobody is in a group but this user and root.
    pub fn is_private(&self, group: u32, user: u32) -> bool {
        let mut is_known = false;
        let is_harmless =
            |name: &str| self.users.iter().any(|it| it.name == name && (it.id == 0 || it.id == user));
        for (_, members) in self.groups.iter().filter(|(id, _)| *id == group) {
            is_known = true;
            if !members.iter().all(|name| is_harmless(name)) {
                return false;
            }
        }
        is_known && self.users.iter().filter(|it| it.group == group).all(|it| it.id == 0 || it.id == user)
    }
}

/// Whether a table of ids (inside, outside, how many) has all of them; one that cannot be read counts as whole.
fn knows_all(uid_map: &str) -> bool {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    uid_map.trim().is_empty() || uid_map.lines().filter_map(count).sum::<u64>() >= u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000:Me,,,:/home/me:/usr/bin/zsh\n\
                          you:x:1001:1001::/home/you:/bin/sh\nother:x:1002:100::/home/other:/bin/sh\n+nis\nx:y\n";
    const GROUP: &str =
        "root:x:0:\nusers:x:100:\nme:x:1000:\nyou:x:1001:me\nboth:x:200:me,root\nteam:x:201:me,you\n";

    #[test]
    fn users_are_read() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        assert_eq!(accounts.users.len(), 4);
        let me = accounts.user(1000).unwrap();
        assert_eq!((me.home.to_str(), me.shell.to_str()), (Some("/home/me"), Some("/usr/bin/zsh")));
        assert_eq!((accounts.name(1001), accounts.name(7)), ("you".into(), "7".into()));
    }

    #[test]
    fn a_namespace_knows_all_users_or_some() {
        assert!(knows_all("         0          0 4294967295\n") && knows_all(""));
        assert!(!knows_all("         0       1000          1\n"));
        assert!(!knows_all("0 1000 1\n1 100000 65536\n"));
    }

    #[test]
    fn a_group_is_private_only_for_certain() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        for (group, is_private) in [
            (0, true),
            (1000, true),
            (1001, false), // another's own group
            (100, false),  // another's primary group, of which the line names no member
            (200, true),
            (201, false),
            (4711, false), // a directory service may know it
        ] {
            assert_eq!(accounts.is_private(group, 1000), is_private, "{group}");
        }
        assert!(!Accounts::default().is_private(1000, 1000));
    }
}
