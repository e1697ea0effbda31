/* SPDX-License-Identifier: MIT */
#ifndef NOTIFY_H
#define NOTIFY_H

/* Tells systemd how the service is, by the datagrams of sd_notify(3), where it asks for them by
 * NOTIFY_SOCKET, and for signs of life by WATCHDOG_USEC. Where it doesn't, nothing here does
 * anything. */

/* Takes what systemd asks for out of the environment, so that no command of ours answers for us,
 * and connects: before rights are given up. What can't be connected to is told, and left. */
void notify_open(void);

/* How often notify_alive is wanted; -1: never. */
int notify_interval_ms(void);

/* Peers can come. */
void notify_ready(void);

/* A sign of life, if that is wanted; and the status, a line for a person, if it is another than the
 * last. */
void notify_alive(const char *status);

/* No more peers are let in, and the end is near. May be called by a signal handler. */
void notify_stopping(void);

#endif
