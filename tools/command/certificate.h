/* SPDX-License-Identifier: MIT */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <stdbool.h>

/* Writes a new key (P-256) and a certificate that it has signed itself, as PEM. */
bool certificate_write(int fd);

#endif
