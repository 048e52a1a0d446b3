//! What an adapter brings to the suite, and the list of its cases.

use std::time::Duration;

use warren::ports::store::{Store, StorePolicy};

use super::model::seen::Seen;

/// A store of one adapter, made for one case.
pub trait Harness: Sized + Send + 'static {
    /// What the stores of many short cases share, so that each of them is there at once.
    type Place: Send + Sync + 'static;

    fn place() -> impl Future<Output = Self::Place> + Send;

    /// An empty store there, the only one that is used.
    fn fresh_in(place: &Self::Place, policy: StorePolicy) -> impl Future<Output = Self> + Send;

    /// An empty store.
    fn fresh(policy: StorePolicy) -> impl Future<Output = Self> + Send;

    /// Whether what people see without asking the store agrees with what it says; where not, in words.
    fn shows(&self, seen: &Seen) -> impl Future<Output = Result<(), String>> + Send;

    /// The store, as a host uses it.
    fn store(&self) -> Store;

    /// Move the store's clock on.
    fn advance(&self, by: Duration);

    /// Open the store anew, as after `kill -9` of its user: nothing of the process is left, only what was answered.
    fn reopen(&mut self) -> impl Future<Output = ()> + Send;
}

/// Every case for one adapter. A case that is not listed here is dead code, which the lints refuse.
#[macro_export]
macro_rules! contract {
    ($adapter:ident, $harness:ty) => {
        mod $adapter {
            $crate::cases! { $harness;
                agents: is_found_by_id_and_name, lists_in_pages, pause_holds_and_resume_releases, counts_endings,
                    remembers_what_a_good_end_said, changes_of_pause_are_events, one_that_is_not_known_is_paused_ahead, tells_how_many_items_are_where;
                bounds: refuses_at_the_limit_and_says_it, room_shrinks_and_comes_back, requeue_respects_the_limit;
                breaker: opens_and_skips, direct_items_wait_for_it, is_checked_at_claim, gives_one_probe,
                    failed_probe_opens_longer, uncounted_probe_frees_the_permit, faults_of_others_never_count,
                    lost_leases_make_a_host_killer, operators_force_and_reset, disabled_never_opens, lists_backoff,
                    many_due_at_once_are_promoted_in_bounded_sweeps;
                claims: in_order_of_enqueueing, strictly_by_priority_without_a_share, one_per_agent,
                    same_tokens_get_the_same_claims, ended_tokens_claim_nothing, avoided_agents_are_left,
                    what_a_claim_makes_ready_it_finds, many_unready_items_do_not_hide_a_ready_one, says_how_long_it_waited, ending_readies_the_best_waiting;
                delays: inbox_is_not_retried, direct_is_retried_with_backoff, permanent_is_dead_at_once,
                    dead_after_the_last_attempt, faults_of_others_keep_the_attempt, cool_down_doubles_and_resets,
                    cool_down_spares_direct_items, interval_is_kept, interval_spares_direct_and_recovered_items,
                    dead_items_are_requeued_and_purged, waiting_items_never_get_stuck;
                effects: happen_once, unknown_when_begun_by_another_claim, counted_once_per_day, per_thread,
                    abandoned_gives_the_count_back, stale_claims_begin_nothing,
                    who_honours_keys_is_remembered;
                events: in_order_and_after, waits_for_the_next, bounded;
                fairness: one_in_n_goes_to_the_oldest_lower, share_counts_only_while_somebody_waits;
                hosts: beats_keep_a_host_alive, leaving_is_the_last_word, processes_of_one_name_are_several,
                    the_gone_are_forgotten_after_an_hour, bounded, outlives_its_users, nobody_else_s_runners;
                leadership: one_leader_and_growing_terms, renewals_are_fenced, fenced_enqueue, release_wakes,
                    reservation_is_honoured, state_is_inherited, a_repeated_bid_extends, the_best_that_waits_goes_first,
                    who_waits_no_more_holds_nobody_up, a_reservation_goes_before_preference, a_holder_s_terms_grow;
                leases: renewal_keeps_and_expiry_recovers, stale_tokens_are_refused, recovered_items_keep_their_place,
                    shutdown_gives_back_to_the_head, missing_plugin_delays, a_plugin_that_came_ends_the_delay, a_namesake_keeps_its_claims, completion_is_repeatable,
                    give_back_is_repeatable, generation_is_kept, old_items_are_forgotten;
                merging: same_agent_and_type_merge, direct_never_merges, news_behind_an_active_item,
                    merges_into_delayed_and_held, repeats_get_the_first_answer;
                model: behaves_like_the_reference, its_breaker_lives_like_the_reference;
                queue: health_names_the_incarnation, fields_survive, lists_by_filter, statistics_add_up,
                    pages_go_on_where_the_last_one_ended, dead_items_are_read_in_both_directions,
                    ten_thousand_dead_items_are_requeued_as_far_as_there_is_room,
                    wakes_who_waits_for_work, wakes_who_waits_for_an_end, generations_are_numbered;
                races: every_item_is_done_once, one_claim_per_agent, repeats_of_everything, one_winner_of_a_term,
                    sweeps_race_completions, cancelled_calls_lose_nothing;
                reopen: everything_answered_is_there, claims_go_on, time_does_not_go_back, leadership_and_state_stay;
                state: kept_per_agent, quota, stale_claims_write_nothing, keys_in_pages
            }
        }
    };
}

#[macro_export]
macro_rules! cases {
    ($harness:ty; $($module:ident: $($case:ident),+);+) => {
        $(mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    use $crate::*;
                    store_contract::$module::$case::<$harness>().await;
                }
            )+
        })+
    };
}
