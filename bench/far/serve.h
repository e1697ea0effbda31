/* SPDX-License-Identifier: MIT */
/* The sending host's side: sends what a receiving host that knows the token asks for. */
#ifndef SERVE_H
#define SERVE_H

/* Listens on address ([HOST][:PORT]) and serves one host after the other, until it is killed.
 * Returns an exit status. */
int serve(const char *address, const char *token_file, int core);

#endif
