from .artifacts import facts_of as facts_of, find as find, versions as versions
