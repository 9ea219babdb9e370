//! [`EjectionBudget`]: how many endpoints may be left out at the same time.

/// The count of ejected endpoints of one upstream, and its bound.
///
/// Of up to 8 endpoints a third, of more a fifth, but always one: whatever the endpoints do, the rest
/// must not drown in what the ejected would have served. (Envoy: a tenth.)
#[derive(Clone, Copy, Debug)]
pub struct EjectionBudget {
    endpoints: u32,
    ejected: u32,
}

impl EjectionBudget {
    /// The budget of so many endpoints, none of them ejected.
    pub const fn new(endpoints: u32) -> Self {
        Self {
            endpoints,
            ejected: 0,
        }
    }

    /// There are now so many endpoints. With fewer, those that are ejected stay so for their time.
    pub const fn set_endpoints(&mut self, endpoints: u32) {
        self.endpoints = endpoints;
    }

    /// How many may be ejected at once.
    pub const fn most(&self) -> u32 {
        let share = if self.endpoints <= 8 { 3 } else { 5 };
        let most = self.endpoints / share;
        if most == 0 { 1 } else { most }
    }

    /// How many are.
    pub const fn ejected(&self) -> u32 {
        self.ejected
    }

    /// Takes one, if there is one left.
    pub(super) const fn take(&mut self) -> bool {
        let may = self.ejected < self.most();
        if may {
            self.ejected += 1;
        }
        may
    }

    pub(super) const fn give_back(&mut self) {
        self.ejected = self.ejected.saturating_sub(1);
    }
}

/// Whether so few endpoints are left that health must be ignored, and all be asked: under 50 %
/// (Envoy's panic threshold). More likely is then that the judgement is wrong, or that everything is
/// slow because too few serve; asking all loses some requests instead of all.
pub const fn panicking(available: u32, endpoints: u32) -> bool {
    (available as u64) * 2 < endpoints as u64
}

#[cfg(test)]
mod tests {
    use super::{EjectionBudget, panicking};

    #[test]
    fn a_third_of_few_a_fifth_of_many_and_always_one() {
        let most = [0, 1, 2, 3, 6, 8, 9, 10, 20, 100].map(|n| EjectionBudget::new(n).most());
        assert_eq!(most, [1, 1, 1, 1, 2, 2, 1, 2, 4, 20]);
    }

    #[test]
    fn no_more_are_taken_than_there_are_though_endpoints_go() {
        let mut budget = EjectionBudget::new(6);
        assert_eq!([(); 3].map(|()| budget.take()), [true, true, false]);
        budget.set_endpoints(3);
        budget.give_back();
        assert!(!budget.take());
        budget.give_back();
        assert!(budget.take());
    }

    #[test]
    fn under_half_is_panic() {
        assert!(panicking(4, 10) && !panicking(5, 10));
        assert!(panicking(0, 1) && !panicking(0, 0));
    }
}
