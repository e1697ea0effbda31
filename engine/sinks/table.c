/* SPDX-License-Identifier: MIT */
#include "sinks.h"

const struct lb_builtin *const lb_builtins[] = {
    &lb_sink_print, &lb_sink_stdout, &lb_sink_discard, &lb_sink_hash,
    &lb_sink_file,  &lb_sink_dir,    &lb_sink_exec,    NULL,
};
