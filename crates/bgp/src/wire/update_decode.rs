//! UPDATE from bytes, and what each fault in it leads to (RFC 4271 §6.3, RFC 7606).
//!
//! Each attribute is read by itself within the length that its header says, so that a bad one hides no other. The faults are collected;
//! at the end the most severe one decides. What leaves no doubt but to end the session returns at once.

use super::attribute::{Attribute, AttributeCode, AttributeFlags, AttributeValue, MpReach, MpUnreach};
use super::attribute_bytes::MpFault;
use super::bytes::Reader;
use super::codec::{Codec, PeerKind};
use super::error::{Consequence, Fault, NotificationCode, Rule};
use super::family::Family;
use super::message::Notification;
use super::nlri::Route;
use super::nlri_bytes::read_routes;
use super::update::Update;

/// Reads the message after its header.
pub(super) fn decode_update(body: &[u8], codec: &Codec) -> Result<(Update, Vec<Fault>), Notification> {
    let mut reader = Reader::new(body);
    let mut field = || reader.u16().and_then(|length| reader.part(length.into()));
    let (Some(withdrawn), Some(attributes)) = (field(), field()) else {
        return Err(Notification::new(NotificationCode::MALFORMED_ATTRIBUTE_LIST));
    };
    let mut walk = Walk::new(codec);
    let withdrawn = read_ipv4(withdrawn, codec)?;
    let announced = read_ipv4(reader, codec)?;
    walk.attributes(attributes)?;
    walk.finish(withdrawn, announced)
}

/// The routes of a field outside attributes. If they cannot be told, the session must end (RFC 7606 §3.j, §5.3).
fn read_ipv4(field: Reader<'_>, codec: &Codec) -> Result<Vec<Route>, Notification> {
    let family = Family::Ipv4Unicast;
    read_routes(field, family, codec.add_path_receive.contains(family))
        .ok_or_else(|| Notification::new(NotificationCode::INVALID_NETWORK_FIELD))
}

/// What has been read of an UPDATE's attributes.
struct Walk<'a> {
    codec: &'a Codec,
    attributes: Vec<Attribute>,
    faults: Vec<Fault>,
    /// The types that were there, a bit for each.
    seen: [u64; 4],
    /// MP_REACH_NLRI has routes, or cannot be read.
    reaches: bool,
    /// What the session would end with, if the routes cannot be trusted.
    reset: Option<Notification>,
}

/// Not spoken here, yet it may hold route targets: a bad one must not let routes go where they should not (RFC 7606 §7.15).
const IPV6_EXTENDED_COMMUNITIES: u8 = 25;

/// As many attributes as most updates have.
const ATTRIBUTES_USUAL: usize = 6;

impl<'a> Walk<'a> {
    fn new(codec: &'a Codec) -> Self {
        let attributes = Vec::with_capacity(ATTRIBUTES_USUAL);
        Self { codec, attributes, faults: Vec::new(), seen: [0; 4], reaches: false, reset: None }
    }

    fn attributes(&mut self, field: Reader<'_>) -> Result<(), Notification> {
        let mut reader = field;
        while !reader.is_empty() {
            let whole = reader.rest();
            let Some((flags, code, value)) = read_header(&mut reader) else {
                return self.overrun(whole);
            };
            let whole = &whole[..whole.len() - reader.len()];
            self.attribute(flags, code, value, whole)?;
        }
        Ok(())
    }

    /// The attributes end within one (RFC 7606 §4). If that one has the routes, they cannot be told.
    fn overrun(&mut self, whole: &[u8]) -> Result<(), Notification> {
        let code = whole.get(1).copied();
        let is_mp = [AttributeCode::MpReachNlri, AttributeCode::MpUnreachNlri];
        if is_mp.iter().any(|mp| code == Some(*mp as u8)) {
            return Err(Notification::with_data(NotificationCode::OPTIONAL_ATTRIBUTE_ERROR, whole));
        }
        self.withdraw(code, Rule::Overrun, whole);
        Ok(())
    }

    fn attribute(
        &mut self,
        flags: AttributeFlags,
        code: u8,
        value: &[u8],
        whole: &[u8],
    ) -> Result<(), Notification> {
        let known = AttributeCode::from_number(code);
        if self.is_seen(code) {
            return match known {
                Some(AttributeCode::MpReachNlri | AttributeCode::MpUnreachNlri) => {
                    Err(Notification::new(NotificationCode::MALFORMED_ATTRIBUTE_LIST))
                }
                _ => {
                    self.fault(Some(code), Rule::Duplicate, Consequence::AttributeDiscard);
                    Ok(())
                }
            };
        }
        self.seen[usize::from(code / 64)] |= 1 << (code % 64);
        let Some(known) = known else { return self.unknown(flags, code, value, whole) };
        if let Some(rule) = self.unwanted(known) {
            self.fault(Some(code), rule, Consequence::AttributeDiscard);
            return Ok(());
        }
        let prescribed = AttributeFlags::OPTIONAL | AttributeFlags::TRANSITIVE;
        if flags.0 & prescribed != known.flags().0 {
            self.withdraw(Some(code), Rule::Flags, whole);
        }
        let value = match known {
            AttributeCode::MpReachNlri => return self.reach(flags, value, whole),
            AttributeCode::MpUnreachNlri => return self.unreach(flags, value, whole),
            _ => AttributeValue::read(known, value, self.codec),
        };
        match value {
            Ok(value) => self.attributes.push(Attribute { flags, value }),
            Err(rule) if is_discarded(known, rule) => {
                self.fault(Some(code), rule, Consequence::AttributeDiscard);
            }
            Err(rule) => self.withdraw(Some(code), rule, whole),
        }
        Ok(())
    }

    /// An attribute that is not spoken here: kept, unless everybody has to know it (RFC 4271 §6.3).
    fn unknown(
        &mut self,
        flags: AttributeFlags,
        code: u8,
        value: &[u8],
        whole: &[u8],
    ) -> Result<(), Notification> {
        if !flags.has(AttributeFlags::OPTIONAL) {
            return Err(Notification::with_data(NotificationCode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE, whole));
        }
        if code == IPV6_EXTENDED_COMMUNITIES && (value.is_empty() || !value.len().is_multiple_of(20)) {
            self.withdraw(Some(code), Rule::Length, whole);
            return Ok(());
        }
        self.attributes
            .push(Attribute { flags, value: AttributeValue::Unknown { code, value: value.into() } });
        Ok(())
    }

    /// The rule by which this neighbour does not send such an attribute.
    fn unwanted(&self, code: AttributeCode) -> Option<Rule> {
        match (code, self.codec.peer) {
            (
                AttributeCode::LocalPref | AttributeCode::OriginatorId | AttributeCode::ClusterList,
                PeerKind::External,
            ) => Some(Rule::ExternalPeer),
            (AttributeCode::As4Path | AttributeCode::As4Aggregator, _) if self.codec.four_octet_as => {
                Some(Rule::FourOctetPeer)
            }
            _ => None,
        }
    }

    fn reach(&mut self, flags: AttributeFlags, value: &[u8], whole: &[u8]) -> Result<(), Notification> {
        match MpReach::read(value, self.codec) {
            Ok(reach) => {
                self.reaches = !reach.routes.is_empty();
                self.attributes.push(Attribute { flags, value: AttributeValue::MpReach(reach) });
                Ok(())
            }
            Err(fault) => {
                self.reaches = true;
                self.mp_fault(AttributeCode::MpReachNlri, fault, whole)
            }
        }
    }

    fn unreach(&mut self, flags: AttributeFlags, value: &[u8], whole: &[u8]) -> Result<(), Notification> {
        match MpUnreach::read(value, self.codec) {
            Ok(unreach) => {
                self.attributes.push(Attribute { flags, value: AttributeValue::MpUnreach(unreach) });
                Ok(())
            }
            Err(fault) => self.mp_fault(AttributeCode::MpUnreachNlri, fault, whole),
        }
    }

    fn mp_fault(&mut self, code: AttributeCode, fault: MpFault, whole: &[u8]) -> Result<(), Notification> {
        let (rule, consequence) = match fault {
            MpFault::NoFamily => {
                return Err(Notification::with_data(NotificationCode::OPTIONAL_ATTRIBUTE_ERROR, whole));
            }
            MpFault::NotNegotiated => (Rule::NotNegotiated, Consequence::AttributeDiscard),
            MpFault::Family(family, rule) => (rule, Consequence::DisableFamily(family)),
        };
        self.fault(Some(code as u8), rule, consequence);
        Ok(())
    }

    const fn is_seen(&self, code: u8) -> bool {
        self.seen[code as usize / 64] & 1 << (code % 64) != 0
    }

    fn fault(&mut self, attribute: Option<u8>, rule: Rule, consequence: Consequence) {
        self.faults.push(Fault { attribute, rule, consequence });
    }

    fn withdraw(&mut self, attribute: Option<u8>, rule: Rule, whole: &[u8]) {
        self.fault(attribute, rule, Consequence::TreatAsWithdraw);
        let code = rule.notification(attribute.and_then(AttributeCode::from_number));
        self.reset.get_or_insert_with(|| Notification::with_data(code, whole));
    }

    /// Decides, with all faults known.
    fn finish(
        mut self,
        withdrawn: Vec<Route>,
        announced: Vec<Route>,
    ) -> Result<(Update, Vec<Fault>), Notification> {
        self.missing(&announced);
        self.next_hop(&announced);
        let reaches = self.reaches || !announced.is_empty();
        if let Some(reset) = self.reset.take().filter(|_| !reaches) {
            // Routes may be hidden by what is wrong: without one to be seen, nothing can be trusted (RFC 7606 §5.2).
            return Err(reset);
        }
        let mut update = Update { withdrawn, attributes: self.attributes, announced };
        let has_ipv4 = !update.withdrawn.is_empty() || !update.announced.is_empty();
        if has_ipv4 && !self.codec.families.contains(Family::Ipv4Unicast) {
            (update.withdrawn, update.announced) = (Vec::new(), Vec::new());
            let (rule, consequence) = (Rule::NotNegotiated, Consequence::AttributeDiscard);
            self.faults.push(Fault { attribute: None, rule, consequence });
        }
        if self.faults.iter().any(|fault| fault.consequence == Consequence::TreatAsWithdraw) {
            update.treat_as_withdraw();
        }
        if let Some(fault) = self.faults.first()
            && update.is_end_of_rib().is_some()
        {
            // What is left must not look like the marker that all routes have been sent.
            let value = AttributeValue::Unknown { code: fault.attribute.unwrap_or(0), value: [].into() };
            update.attributes.push(Attribute { flags: AttributeFlags(AttributeFlags::OPTIONAL), value });
        }
        Ok((update, self.faults))
    }

    /// A next hop that no host can have (RFC 4271 §6.3). Where no route needs it, it is ignored (RFC 4760 §3).
    fn next_hop(&mut self, announced: &[Route]) {
        let is_no_host = |attribute: &Attribute| match attribute.value {
            AttributeValue::NextHop(address) => matches!(address.octets(), [0 | 127 | 224.., ..]),
            _ => false,
        };
        if !announced.is_empty() && self.attributes.iter().any(is_no_host) {
            self.withdraw(Some(AttributeCode::NextHop as u8), Rule::Value, &[]);
        }
    }

    /// Routes without an attribute that every route has (RFC 7606 §3.d).
    fn missing(&mut self, announced: &[Route]) {
        let needed = [
            (AttributeCode::Origin, self.reaches || !announced.is_empty()),
            (AttributeCode::AsPath, self.reaches || !announced.is_empty()),
            (AttributeCode::NextHop, !announced.is_empty()),
        ];
        let is_cut = self.faults.iter().any(|fault| fault.rule == Rule::Overrun);
        for (code, is_needed) in needed {
            if is_needed && !is_cut && !self.is_seen(code as u8) {
                self.withdraw(Some(code as u8), Rule::Missing, &[code as u8]);
            }
        }
    }
}

/// Flags, type and value; takes nothing if the value is longer than what there is.
fn read_header<'a>(reader: &mut Reader<'a>) -> Option<(AttributeFlags, u8, &'a [u8])> {
    let flags = AttributeFlags(reader.u8()?);
    let code = reader.u8()?;
    let length = if flags.has(AttributeFlags::EXTENDED_LENGTH) { reader.u16()? } else { reader.u8()?.into() };
    Some((flags, code, reader.slice(length.into())?))
}

/// Whether a route is as good without the attribute as with a bad one.
fn is_discarded(code: AttributeCode, rule: Rule) -> bool {
    match code {
        // RFC 7606 §7.6, §7.7; RFC 6793 §6.
        AttributeCode::AtomicAggregate
        | AttributeCode::Aggregator
        | AttributeCode::As4Path
        | AttributeCode::As4Aggregator => true,
        // RFC 8669 §6. Without a SID that it was meant to have, a route leads nowhere (RFC 9252 §7).
        AttributeCode::PrefixSid => rule == Rule::Length,
        _ => false,
    }
}

impl Rule {
    /// What a session ends with that ends because of this rule.
    fn notification(self, attribute: Option<AttributeCode>) -> NotificationCode {
        match (self, attribute) {
            (Self::Flags, _) => NotificationCode::ATTRIBUTE_FLAGS_ERROR,
            (Self::Length, _) => NotificationCode::ATTRIBUTE_LENGTH_ERROR,
            (Self::Missing, _) => NotificationCode::MISSING_WELL_KNOWN_ATTRIBUTE,
            (Self::Value, Some(AttributeCode::Origin)) => NotificationCode::INVALID_ORIGIN,
            (Self::Value, Some(AttributeCode::AsPath)) => NotificationCode::MALFORMED_AS_PATH,
            (Self::Value, _) => NotificationCode::OPTIONAL_ATTRIBUTE_ERROR,
            _ => NotificationCode::MALFORMED_ATTRIBUTE_LIST,
        }
    }
}
