//! The services against the promises of the design and the defects of the system that Warren replaces: a real SQLite store
//! in paused time, with faults put between it and the services; the Hub and the sandbox are scripted.
//!
//! What guards against which defect, here or, for what is the store's, the Hub client's or the wiring's to do, elsewhere:
//!
//! | defect | guarded by |
//! | --- | --- |
//! | 1 renewal not atomic, its answer ignored | `election::a_fenced_renewal_ends_the_term`; `store_contract::leadership::renewals_are_fenced` |
//! | 2 leadership as a flag that stays | `election::{a_leader_whose_renewals_hang_steps_down_at_its_deadline, a_clock_that_jumps_ends_the_term_at_once, nobody_hears_of_a_leader_whose_work_is_slow_to_stop}` |
//! | 3 a stale leader enqueues | `poller::{a_poll_that_outlasts_the_term_enqueues_nothing, a_fenced_enqueue_ends_the_term}`; `store_contract::leadership::fenced_enqueue` |
//! | 4 no timeout on calls to the store | `election::a_leader_whose_renewals_hang_steps_down_at_its_deadline`, `dispatch::a_claim_that_hangs_is_made_again`, `runner::a_completion_that_hangs_keeps_no_slot_and_its_place_no_longer_than_the_claim`, `sweeps::a_sweep_that_hangs_is_given_up` |
//! | 5 two processes of one name both lead | `election::two_processes_of_one_name_do_not_both_lead` |
//! | 6 start-up work without renewals | `election::the_first_renewal_waits_for_nothing` |
//! | 7 release first, stop second | `election::{shutdown_joins_the_work_before_it_releases, a_bid_that_wins_during_shutdown_is_given_back}`, `poller::shutdown_cuts_the_long_poll` |
//! | 8 a missing long poll is swallowed | `poller::without_a_long_poll_the_plain_one_runs_every_30_s` |
//! | 9 staleness by the wall clock's second | `intake::staleness_sweeps_keep_their_interval_across_leaderships` |
//! | 10 every replica polls | `poller::a_follower_does_not_poll` |
//! | 11 a crash between two steps loses the item | `dispatch::a_claim_whose_answer_is_lost_is_not`; `store_contract::kill` |
//! | 12 active entries without expiry | `claims::a_claim_is_kept_for_as_long_as_it_is_held`, `sweeps::the_item_of_a_dead_host_is_recovered` |
//! | 13 every poll adds another copy | `poller::an_agent_that_is_stuck_for_an_hour_costs_a_bounded_number_of_polls`; `store_contract::merging` |
//! | 14 completion checks no owner | `runner::a_completion_whose_answer_is_lost_is_repeated`; `store_contract::leases::stale_tokens_are_refused` |
//! | 15 `last_activated` is not updated | `runner::{success_is_told_in_order, a_failure_marks_nothing_read}` |
//! | 16 a loop ends silently | `election::a_leader_task_that_ends_ends_the_election_with_its_reason`, `runner::a_panic_is_counted_once_and_the_others_are_handed_back`; unit tests of `app::supervisor` |
//! | 17 SIGTERM cancels what runs | `runner::{shutdown_lets_running_activations_end, the_rest_is_handed_back_at_the_end_of_the_grace_period}` |
//! | 18 no deadline around an activation | `sandbox::limits` |
//! | 19 strict priority starves | `store_contract::fairness` |
//! | 20 the breaker is checked at enqueue only | `store_contract::breaker::is_checked_at_claim` |
//! | 21 wall clocks compared across hosts | `election::a_clock_that_jumps_ends_the_term_at_once`; `store_contract::reopen::time_does_not_go_back` |
//! | 22 no half-open state | `store_contract::breaker::gives_one_probe` |
//! | 23 others' faults count | `runner::{a_hub_that_does_not_take_the_read_marks_is_upstream, budgets_deny_but_their_absence_does_not}`; `store_contract::breaker::faults_of_others_never_count` |
//! | 24 errors reported as success | `runner::a_failure_marks_nothing_read` |
//! | 25 marked read after a failure | `runner::{a_failure_marks_nothing_read, success_is_told_in_order}` |
//! | 26 metrics that lie | `runner::a_panic_is_counted_once_and_the_others_are_handed_back`, `sweeps::transitions_are_counted_once`; unit tests of `app::metrics` |
//! | 27 variables that nobody reads | `deploy::configuration::{each_variable_is_one_that_the_program_reads, a_variable_without_the_prefix_or_with_a_slip_is_found, a_host_without_the_address_of_its_store_does_not_start_on_a_store_of_its_own}`; unit tests of `app::config::load` |
//! | 28 a store without persistence | `deploy::store::{what_it_has_acknowledged_is_on_a_disk_that_outlives_the_pod, a_store_that_forgets_is_found, a_killed_store_comes_back_with_everything}`; `store_contract::{kill, reopen}` |

#[cfg(test)]
mod services {
    pub mod census;
    pub mod claims;
    pub mod clock;
    pub mod departure;
    pub mod dispatch;
    pub mod effects;
    pub mod election;
    pub mod faults;
    pub mod followers;
    pub mod heartbeat;
    pub mod hub;
    pub mod intake;
    pub mod plugins;
    pub mod poller;
    pub mod python_runners;
    pub mod rig;
    pub mod runner;
    pub mod sandbox;
    pub mod seen;
    pub mod sweeps;
}
