//! Who may do what with resources, and who may see and set which of their attributes, as data: the defaults are those of
//! Neutron's policies, in its words. Nothing enforces them before there are identities.
//!
//! ```text
//! create_network                        ADMIN_OR_PROJECT_MEMBER   the entry's `access.create`
//! create_network:shared                 ADMIN                     the attribute's `access.create`, besides the entry's
//! get_network:provider:network_type     ADMIN                     the attribute's `access.read`, besides the entry's
//! ```

/// Somebody to whom something may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Who has the role `admin`.
    Admin,
    /// Another service of the cloud: who has the role `service`.
    Service,
    /// The older role for the same, `advsvc`.
    AdvancedService,
    /// Whoever is of the project that owns the resource, in whichever role.
    Owner,
    /// Who may read in the project that owns the resource.
    ProjectReader,
    /// Who may also write there.
    ProjectMember,
    /// Who may read in the project that owns the resource's network.
    NetworkOwnerReader,
    /// Who may also write there.
    NetworkOwnerMember,
    /// Who manages that project.
    NetworkOwnerManager,
    /// Everybody, if the resource is a network that is shared, or of one.
    Shared,
    /// Everybody, for a value that does not begin with `network:`.
    NotNetworkDevice,
}

/// Those to whom something is allowed: each of them.
pub type Who = &'static [Party];

/// The role `admin` alone.
pub const ADMIN: Who = &[Party::Admin];
/// Other services alone.
pub const SERVICE: Who = &[Party::Service];
pub(crate) const ADMIN_OR_SERVICE: Who = &[Party::Admin, Party::Service];
pub(crate) const PROJECT_MEMBER_OR_SERVICE: Who = &[Party::Admin, Party::Service, Party::ProjectMember];
pub(crate) const NETWORK_OWNER_OR_SERVICE: Who = &[Party::Admin, Party::Service, Party::NetworkOwnerMember];
pub(crate) const ADMIN_OR_OWNER: Who = &[Party::Admin, Party::Owner];
pub(crate) const ADMIN_OR_PROJECT_MEMBER: Who = &[Party::Admin, Party::ProjectMember];
pub(crate) const ADMIN_OR_PROJECT_READER: Who = &[Party::Admin, Party::ProjectReader];

impl Party {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Service => "service",
            Self::AdvancedService => "advsvc",
            Self::Owner => "owner",
            Self::ProjectReader => "project_reader",
            Self::ProjectMember => "project_member",
            Self::NetworkOwnerReader => "network_owner_reader",
            Self::NetworkOwnerMember => "network_owner_member",
            Self::NetworkOwnerManager => "network_owner_manager",
            Self::Shared => "shared",
            Self::NotNetworkDevice => "not_network_device",
        }
    }
}

/// What can be done with a resource or an attribute of it, as policies tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Make a resource; give it the attribute with that.
    Create,
    /// List resources and show one: of the attribute, its value.
    Read,
    /// Change it; an action that changes it is one, too.
    Update,
    /// Delete it.
    Delete,
}

/// Who may do what with the resources of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceAccess {
    /// Who may make one.
    pub create: Who,
    /// Who may list them and be shown one.
    pub read: Who,
    /// Who may change one, and do with it what else changes it.
    pub update: Who,
    /// Who may delete one.
    pub delete: Who,
}

/// Who may see and set an attribute, of those who may do that with the resource; nothing: all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeAccess {
    /// Who may give it when the resource is made.
    pub create: Option<Who>,
    /// Who may see it.
    pub read: Option<Who>,
    /// Who may change it.
    pub update: Option<Who>,
}

impl ResourceAccess {
    /// Administrators alone.
    pub(crate) const OF_ADMIN: Self = Self { create: ADMIN, read: ADMIN, update: ADMIN, delete: ADMIN };
    /// The project that owns it, each in their role.
    pub(crate) const OF_PROJECT: Self = Self {
        create: ADMIN_OR_PROJECT_MEMBER,
        read: ADMIN_OR_PROJECT_READER,
        update: ADMIN_OR_PROJECT_MEMBER,
        delete: ADMIN_OR_PROJECT_MEMBER,
    };
    /// The project that owns it, in whichever role.
    pub(crate) const OF_OWNER: Self =
        Self { create: ADMIN_OR_OWNER, read: ADMIN_OR_OWNER, update: ADMIN_OR_OWNER, delete: ADMIN_OR_OWNER };

    /// Who may do this.
    #[must_use]
    pub const fn who_may(&self, verb: Verb) -> Who {
        match verb {
            Verb::Create => self.create,
            Verb::Read => self.read,
            Verb::Update => self.update,
            Verb::Delete => self.delete,
        }
    }
}

impl AttributeAccess {
    /// All who may do the same with the resource.
    pub const AS_RESOURCE: Self = Self { create: None, read: None, update: None };
    /// As a port's addresses: on a network that is shared everybody gets some, its owner alone moves them.
    pub(crate) const OF_ADDRESSES: Self = Self {
        create: Some(&[Party::Admin, Party::Service, Party::NetworkOwnerMember, Party::Shared]),
        update: Some(NETWORK_OWNER_OR_SERVICE),
        ..Self::AS_RESOURCE
    };
    /// Given by whoever may make the resource, and nobody's but administrators' from then on.
    pub(crate) const OF_ADMIN_ONCE_MADE: Self =
        Self { read: Some(ADMIN), update: Some(ADMIN), ..Self::AS_RESOURCE };

    /// Who may do this, where that is not all who may do it with the resource.
    #[must_use]
    pub const fn who_may(&self, verb: Verb) -> Option<Who> {
        match verb {
            Verb::Create => self.create,
            Verb::Read => self.read,
            Verb::Update => self.update,
            Verb::Delete => None,
        }
    }
}
