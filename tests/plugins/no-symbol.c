/* A shared object that is no plugin. */
int no_symbol_at_all(void);
int no_symbol_at_all(void)
{
    return 0;
}
