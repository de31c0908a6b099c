/* The recovery sheet: what is needed to get everything back on a new machine, but the key and other secrets. */
#ifndef COFRE_CLI_SHEET_H
#define COFRE_CLI_SHEET_H

struct cli;
struct config_instance;
struct init_result;

/* On standard output: where the repository is, its key, and a configuration that reads it and holds the sources that
 * jobs save to it. Secrets are shown by where they are (@file:PATH); what stands literally is not shown. */
void sheet_print(struct cli *cli, const struct config_instance *sink, const struct init_result *result);

#endif
