/* SPDX-License-Identifier: MIT */
#include "recv_tls.h"

#include "command.h"
#include "console.h"
#include "identity.h"
#include "pin.h"
#include "secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An option that would do nothing is a mistake, which may leave a port open. */
static int check_alone(const struct recv_settings *settings)
{
    const struct lb_config *config = &settings->config;
    const struct {
        bool given;
        const char *text;
    } needs[] = {
        {config->tls_cert, "--tls-cert: needs --tls"},
        {config->tls_key, "--tls-key: needs --tls"},
        {settings->tls_dir, "--tls-dir: needs --tls"},
        {config->tls_min, "--tls-min: needs --tls"},
        {config->tls_records, "--tls-records: needs --tls"},
        {config->tls_client_ca, "--tls-client-ca: needs --tls"},
        {settings->allow_pin.count, "--allow-pin: needs --tls"},
        {config->tls_psk, "--tls-psk: needs --tls"},
        {config->tls_allow_fin, "--tls-allow-fin: needs --tls"},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (needs[i].given)
            return command_misused(needs[i].text);
    return STATUS_OK;
}

static int check_together(const struct recv_settings *settings)
{
    const struct lb_config *config = &settings->config;

    if (!config->tls_cert != !config->tls_key)
        return command_misused("--tls-cert and --tls-key: the one needs the other; a file that has "
                               "both is given twice");
    if (config->tls_cert && settings->tls_dir)
        return command_misused("--tls-dir: is for a key of our own; leave out it, or --tls-cert");
    if (config->tls_allow_fin && config->receipt && !config->seal)
        return command_misused("--tls-allow-fin: with --receipt it would prove what anybody on the "
                               "way can cut; leave out one of the two, or use --seal");
    return STATUS_OK;
}

/* For senders. Now, as whoever we become may have no right to. If it can't be read the engine says
 * so. */
static void find_pin(struct recv_settings *settings)
{
    struct lb_pin pin;

    if (lb_pin_of_file(&pin, settings->config.tls_cert) == 0)
        lb_pin_write(&pin, settings->tls_pin);
}

/* Our own key never does. */
static void name_changing(struct recv_settings *settings)
{
    const struct lb_config *config = &settings->config;

    settings->tls_reread[0] = config->tls_cert;
    settings->tls_reread[1] = config->tls_key;
    settings->tls_reread[2] = config->tls_client_ca;
}

void recv_tls_check_reread(const struct recv_settings *settings)
{
    for (const char *const *path = settings->tls_reread; *path; path++) {
        int fd = open(*path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd >= 0) {
            close(fd);
            continue;
        }
        console_tell("%s: %s for whom we are now; when it changes, that will not be taken up "
                     "without a restart",
                     *path, strerror(errno));
    }
}

int recv_tls_read(struct recv_settings *settings)
{
    struct lb_config *config = &settings->config;
    int status;

    if (!config->tls)
        return check_alone(settings);
    secrets_keep((size_t)config->max_streams + config->max_handshakes);
    status = check_together(settings);
    if (status == STATUS_OK)
        status = pin_list_read(&settings->pins, "allow-pin", &settings->allow_pin);
    config->tls_pins = (const char *const *)settings->pins.texts;
    if (config->tls_cert)
        name_changing(settings);
    if (status == STATUS_OK && !config->tls_cert) {
        status = identity_find(settings->tls_file, settings->tls_dir, "recv.pem");
        config->tls_cert = config->tls_key = settings->tls_file;
    }
    if (status == STATUS_OK)
        find_pin(settings);
    return status;
}

void recv_tls_done(struct recv_settings *settings)
{
    pin_list_done(&settings->pins);
    free(settings->allow_pin.words);
}
