/* Every counter of the plane, once. One writer (the plane thread), relaxed atomics, read when scraped. */
#ifndef KB_COUNTERS_H
#define KB_COUNTERS_H

#define KB_COUNTERS(X)                                                                                             \
    X(datagrams_received)                                                                                          \
    X(bytes_received)                                                                                              \
    X(datagrams_empty)                                                                                             \
    X(datagrams_short)                                                                                             \
    X(datagrams_oversized)                                                                                         \
    X(datagrams_unknown)                                                                                           \
    X(datagrams_foreign) /* DTLS, SRTP, SRTCP from an address no authenticated check validated */                  \
    X(datagrams_sent)                                                                                              \
    X(datagrams_grouped) /* of those, sent as segments of one message (UDP GSO) */                                \
    X(bytes_sent)                                                                                                  \
    X(sends_refused) /* the socket buffer was full */                                                              \
    X(sends_failed)                                                                                                \
    X(egress_overrun) /* the ring to or from an egress thread was full */                                          \
    X(stun_requests)                                                                                               \
    X(stun_answers)                                                                                                \
    X(stun_malformed)                                                                                              \
    X(stun_ignored) /* not a binding request */                                                                    \
    X(stun_bad_fingerprint)                                                                                        \
    X(stun_unknown_user)                                                                                           \
    X(stun_limited) /* too many to look at their signatures */                                                     \
    X(stun_unauthenticated)                                                                                        \
    X(stun_replayed) /* a transaction seen from another address */                                                 \
    X(stun_conflicts) /* the address is in use by another peer */                                                  \
    X(stun_role_conflicts)                                                                                         \
    X(stun_unknown_attributes)                                                                                     \
    X(tuples_added)                                                                                                \
    X(tuples_evicted)                                                                                              \
    X(ice_restarts)                                                                                                \
    X(nominations)                                                                                                 \
    X(tcp_accepted)                                                                                                \
    X(tcp_refused) /* no room, or too many strangers from one address */                                           \
    X(tcp_expired) /* no signed check in time, or silent for too long */                                           \
    X(tcp_closed)                                                                                                  \
    X(tcp_frames_dropped) /* the connection was behind by its whole queue */                                       \
    X(tcp_frames_stale) /* waited too long */                                                                      \
    X(dtls_received)                                                                                               \
    X(dtls_limited)                                                                                                \
    X(dtls_dropped) /* the ring to Python was full */                                                              \
    X(dtls_sent)                                                                                                   \
    X(dtls_unsendable)                                                                                             \
    X(srtp_limited) /* more than a peer may send */                                                                \
    X(srtp_without_keys)                                                                                           \
    X(rtp_malformed)                                                                                               \
    X(rtp_received)                                                                                                \
    X(srtp_unauthenticated)                                                                                        \
    X(srtp_replayed)                                                                                               \
    X(srtp_streams_refused) /* over the SSRCs a peer may have */                                                   \
    X(srtp_streams_stuck) /* libsrtp did not forget one: its search gets longer */                                 \
    X(rtp_limited) /* more sound than there can be: each packet would go to every listener */                      \
    X(rtp_unrouted)                                                                                                \
    X(rtp_wrong_payload_type)                                                                                      \
    X(rtp_second_stream) /* another SSRC on a track that is not silent */                                          \
    X(rtp_bad_extensions)                                                                                          \
    X(rtp_empty) /* padding only */                                                                                \
    X(rtp_forwarded)                                                                                               \
    X(picture_freezes) /* gaps between pictures that went to a viewer, as webrtc-stats counts them */                \
    X(picture_pauses)                                                                                              \
    X(rtp_late) /* from before a source change, or too close to it */                                                                  \
    X(video_held) /* times that pictures began to wait: a narrow path takes no more at once */                     \
    X(video_dropped) /* packets that waited when a key frame or a pause made them needless */                      \
    X(video_thinned) /* pictures that were late, and that no other one needed */                                   \
    X(video_given_up) /* what waited was too old: the path is full */                                              \
    X(video_overrun) /* more waited than is kept: nothing more before a key frame */                               \
    X(rtp_unsendable) /* the listener has no keys or no address yet */                                             \
    X(rtp_unreceivable) /* the listener has no payload type for the codec */                                      \
    X(rtp_duplicate)    /* recovered and late, or recovered twice */                                               \
    X(red_received) /* RFC 2198 */                                                                                 \
    X(red_malformed)                                                                                               \
    X(red_misplaced) /* copies of which it cannot be told what they are copies of */                               \
    X(red_recovered) /* packets that came only as a copy */                                                        \
    X(red_sent)                                                                                                    \
    X(rtx_received)                                                                                                \
    X(rtx_empty) /* padding, or no sequence number */                                                              \
    X(rtx_unrouted)                                                                                                \
    X(rtp_resent)                                                                                                  \
    X(resends_unknown)  /* never sent, too old, or not kept */                                                     \
    X(resends_left)     /* of a layer that is sent no more */                                                       \
    X(resends_too_soon) /* asked for again within a round trip */                                                  \
    X(resends_over_budget)                                                                                         \
    X(nacks_sent)                                                                                                  \
    X(plis_sent)                                                                                                   \
    X(rembs_sent)                                                                                                  \
    X(twcc_sent)                                                                                                   \
    X(probes_sent) /* packets repeated to see what a path carries */                                               \
    X(paddings_sent) /* the same, with nothing to repeat */                                                                        \
    X(key_frames)                                                                                                  \
    X(protect_failed)                                                                                              \
    X(mix_pushed)                                                                                                  \
    X(mix_dropped) /* the ring to the mixer was full */                                                            \
    X(mix_oversized)                                                                                               \
    X(injected)                                                                                                    \
    X(injected_unrouted)                                                                                           \
    X(source_changes)                                                                                              \
    X(rtcp_received)                                                                                               \
    X(rtcp_malformed)                                                                                              \
    X(srtcp_unauthenticated)                                                                                       \
    X(srtcp_replayed)                                                                                              \
    X(rtcp_sender_reports)                                                                                         \
    X(rtcp_receiver_reports)                                                                                       \
    X(rtcp_foreign_blocks) /* report blocks about an SSRC that is not ours */                                      \
    X(rtcp_descriptions)                                                                                           \
    X(rtcp_byes)                                                                                                   \
    X(rtcp_nacks)                                                                                                  \
    X(rtcp_twcc)                                                                                                   \
    X(rtcp_plis)                                                                                                   \
    X(rtcp_firs)                                                                                                   \
    X(rtcp_rembs)                                                                                                  \
    X(rtcp_unknown)                                                                                                \
    X(sender_reports_sent)                                                                                         \
    X(receiver_reports_sent)                                                                                       \
    X(peers_stalled)                                                                                               \
    X(peers_resumed)                                                                                               \
    X(peers_lost)                                                                                                  \
    X(tracks_started)                                                                                              \
    X(tracks_stalled)                                                                                              \
    X(tracks_resumed)                                                                                              \
    X(commands_applied)                                                                                            \
    X(commands_stale) /* for a handle that is gone */                                                              \
    X(turns)

enum kb_counter {
#define X(name) KB_COUNT_##name,
    KB_COUNTERS(X)
#undef X
        KB_COUNTER_COUNT
};

#endif
