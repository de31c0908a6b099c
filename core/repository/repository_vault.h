/* Repositories as vaults, and how they are written. */
#ifndef COFRE_REPOSITORY_REPOSITORY_VAULT_H
#define COFRE_REPOSITORY_REPOSITORY_VAULT_H

struct saver_calls;
struct vault_format;

extern const struct vault_format repository_vault;
extern const struct saver_calls repository_saver;

#endif
