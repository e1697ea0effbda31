/* SPDX-License-Identifier: MIT */
/*
 * lastbyte: receive byte streams to the last byte.
 *
 * Conventions
 * - Functions return 0 (or a count) on success and -errno on failure, unless they say otherwise.
 * - The library prints nothing, never exits, installs no signal handler and never raises SIGPIPE
 *   by its own writes to sockets. Sinks that write to pipes expect SIGPIPE to be ignored.
 * - Sizes are in bytes, times are in the unit their name ends with.
 * - A pointer handed in is borrowed for the call unless its comment says otherwise.
 * - Misuse is an error value in every build: -EINVAL for NULL where something is needed, for
 *   unknown bits of flags, for what no struct or enum can be. Functions that return a pointer, a
 *   number or nothing return NULL or 0, or do nothing.
 *
 * Where a function may be called from stands in brackets at the end of its comment:
 *
 *     [sink]         by a sink, for the stream that it is called for, in a call that the stream's
 *                    worker makes: open, write, target, place, ready, receipt_id, and an end
 *                    without LB_SINK_SLOW_END
 *     [slow end]     by a sink, in an end with LB_SINK_SLOW_END or in settle
 *     [any thread]   by any thread at any time, a sink's calls and notes included
 *     [outside]      by any thread but the engine's own: not from a sink, a note or an event
 *     [signal]       by any thread, and by a signal handler
 *
 * No function waits for anything but memory and the kernel, unless its comment says that it blocks.
 *
 * Structs can grow, at their end. So each begins with its size, as the program was compiled; what
 * sets it is the struct's init macro, the first thing between the braces:
 *
 *     struct lb_error error = {LB_ERROR_INIT};
 *     static const struct lb_sink sink = {LB_SINK_INIT, .name = "lines", .write = take_lines};
 *
 * lb_config has lb_config_init instead, which sets every default too. In C++ the size sets itself,
 * and the macros are empty: lb_error error{}; lb_sink sink{}; sink.name = "lines". From other
 * languages: all zero, and size what sizeof says in C.
 *
 * - What the program's struct hasn't got is as if it were zero, or left at its default.
 * - What it has and the library doesn't know must be zero: else -E2BIG, as the library is too old
 *   for what is asked; so is a size above 4096. In structs that the library fills it stays
 *   untouched.
 * - A size below that of the struct's first layout, 0 above all, is -EINVAL: nobody has set it. An
 *   lb_error without room for a text is left alone; what the call returns is all that is told then.
 */
#ifndef LASTBYTE_H
#define LASTBYTE_H

#include <lastbyte/base.h>
#include <lastbyte/connect.h>
#include <lastbyte/engine.h>
#include <lastbyte/event.h>
#include <lastbyte/receive.h>
#include <lastbyte/sink.h>
#include <lastbyte/stats.h>
#include <lastbyte/stream.h>

#endif
