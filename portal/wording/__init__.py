"""Words for people: codes and facts become sentences in the reader's language, by gettext.

Pages, the JSON API and mails take their sentences from here and from the templates. Services hold codes and facts.
"""
