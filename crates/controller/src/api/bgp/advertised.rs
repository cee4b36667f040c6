//! What a speaker tells its peers, in Neutron's form.

use std::collections::BTreeSet;

use weft_bgp::speaker::{PageSize, RibView, RouteFilter};
use weft_bgp::wire::Family;
use weft_services::Id;
use weft_services::bgp::AdvertisedRoute;

use crate::site::Site;

const LOOKED_AT_MAX: usize = 1024;

/// The prefixes that at least one neighbour has been told by us, with the next hops that it was told.
pub(crate) async fn advertised(site: &Site, speaker: Id) -> Vec<AdvertisedRoute> {
    let running = site.speakers.all().into_iter().find(|(id, _)| *id == speaker);
    let Some((_, handle)) = running else { return Vec::new() };
    let neighbors = handle.with(|speaker, now| speaker.neighbors(now)).await.unwrap_or_default();
    let mut advertised = BTreeSet::new();
    let families = Family::ALL.into_iter().filter(|family| *family != Family::RouteTarget);
    let to =
        |family| neighbors.iter().map(move |to| (RibView::AdjRibOut(to.address), family)).collect::<Vec<_>>();
    let views: Vec<(RibView, Family)> = families.flat_map(to).collect();
    for view in views {
        let mut from = Some(0);
        while let Some(place) = from {
            let size = PageSize { routes_max: LOOKED_AT_MAX, looked_at_max: LOOKED_AT_MAX };
            let filter = RouteFilter { is_local: true, ..RouteFilter::default() };
            let page = handle.with(move |speaker, _| speaker.page(view, &filter, place, size)).await;
            let Some(page) = page else { return Vec::new() };
            for route in &page.routes {
                let Some(destination) = route.destination.prefix() else { continue };
                let next_hops = route.paths.iter().map(|path| path.next_hop.address());
                advertised.extend(next_hops.map(|next_hop| AdvertisedRoute { destination, next_hop }));
            }
            from = page.next;
        }
    }
    advertised.into_iter().collect()
}
