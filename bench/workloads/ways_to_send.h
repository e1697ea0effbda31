/* SPDX-License-Identifier: MIT */
/* The ways to send that the table of workloads is made of. */
#ifndef WAYS_TO_SEND_H
#define WAYS_TO_SEND_H

#include "workload.h"

/* One stream, in large writes. */
int bulk_send(const struct trial *trial, struct sender *sender);
int bulk_sendfile(const struct trial *trial, struct sender *sender);
int bulk_zerocopy(const struct trial *trial, struct sender *sender);
void zerocopy_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

/* All streams at once, one write to each in turn. */
int fanin_send(const struct trial *trial, struct sender *sender);

/* Stream after stream, trial's at_once of them under way. */
int relay_send(const struct trial *trial, struct sender *sender);
void short_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

/* Messages at a fixed rate, whether or not the receiver keeps up. */
int latency_send(const struct trial *trial, struct sender *sender);
void latency_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

/* Streams that say nothing. */
int idle_send(const struct trial *trial, struct sender *sender);
int idle_observe(const struct trial *trial, struct sample *sample);
void idle_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

/* Streams that nobody takes from until they have been looked at. */
int stalled_send(const struct trial *trial, struct sender *sender);
int stalled_observe(const struct trial *trial, struct sample *sample);
void stalled_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

/* A point of the map: so large, on so many streams, at such a rate. */
int map_send(const struct trial *trial, struct sender *sender);
void map_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

void sweep_tell(const struct trial *trial, const struct sample *sample, struct figures *figures);

#endif
