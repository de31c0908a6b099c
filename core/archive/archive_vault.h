/* Archives as vaults, and how they are written. */
#ifndef COFRE_ARCHIVE_ARCHIVE_VAULT_H
#define COFRE_ARCHIVE_ARCHIVE_VAULT_H

struct saver_calls;
struct vault_format;

extern const struct vault_format archive_vault;
extern const struct saver_calls archive_saver;

#endif
