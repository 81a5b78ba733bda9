"""How are heads over many documents shown: as a table in files, as maps and lists in a terminal?"""
