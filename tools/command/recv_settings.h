/* SPDX-License-Identifier: MIT */
#ifndef RECV_SETTINGS_H
#define RECV_SETTINGS_H

#include "harden.h"
#include "options.h"
#include "pin.h"
#include "pin_list.h"
#include "s3/options.h"
#include "seal.h"
#include "user.h"

#include <lastbyte/lastbyte.h>

#include <linux/limits.h>
#include <stdbool.h>
#include <stdint.h>

/* What the command line of recv says. */

/* As the option's words are listed; unset is what it is without the option. */
enum stats_form { STATS_JSON, STATS_TEXT, STATS_NONE, STATS_UNSET };

enum log_form { LOG_TEXT, LOG_JSON };

struct recv_settings {
    /* Most options write right into these. */
    struct lb_config config; /* ready for an engine, but for the sink */
    struct lb_sink_options sink_options;
    struct s3_options s3;
    const char *sink; /* its specification */

    enum stats_form stats;
    enum log_form log;
    int progress_ms; /* 0: not asked for */
    uint64_t size;   /* bytes that are expected; 0: nobody said */
    bool quiet, verbose, help, version;
    const char *metrics;   /* the address for them; NULL: none */
    const char *user_text; /* NULL: stay who we are */
    struct user user;
    bool harden_off[HARDEN_PARTS];

    /* What the configuration is made from, and points to. */
    struct option_list listen, allow, deny, fronts, allow_users;
    uid_t *allow_uids;
    const char *greeting_text;
    char greeting[LB_GREETING_MAX];
    bool once;
    const char *seal_key_path; /* NULL: none */
    struct lb_seal_key seal_key;
    const char *no_harden;
    const char *tls_dir;            /* NULL: where state is kept */
    char tls_file[PATH_MAX];        /* a key of our own, and its certificate */
    char tls_pin[LB_PIN_TEXT_SIZE]; /* of the certificate; empty: none */
    const char *tls_reread[4];      /* files that may change, to NULL */
    struct option_list allow_pin;
    struct pin_list pins; /* that it gave */
};

/* Reads argv; settings needs recv_settings_done afterwards, whatever is returned. Returns an exit
 * status after telling what is wrong. With help or version nothing else is asked for. */
int recv_settings_read(struct recv_settings *settings, int argc, char **argv);

void recv_settings_done(struct recv_settings *settings);

extern const struct option_row recv_options[];

/* Prints the help. Returns an exit status. */
int recv_settings_help(void);

#endif
