/* SPDX-License-Identifier: MIT */
#ifndef TLS_CASES_H
#define TLS_CASES_H

#include "suite.h"

extern const struct test_case tls_cases[], tls_strangers_cases[];

#endif
