"""The countries of the world and their capitals: data only.

The 193 members and two observers of the United Nations, Kosovo and Taiwan, plus the four nations
of the United Kingdom, which people ask for by name. Being listed says nothing about status.
"""

from __future__ import annotations

from dataclasses import dataclass

# One row each: `country = other names : capital = other spellings`. A leading "the" belongs to
# the country's name inside a sentence; people may leave it out when they ask.
_ROWS = """
Afghanistan: Kabul
Albania: Tirana
Algeria: Algiers
Andorra: Andorra la Vella
Angola: Luanda
Antigua and Barbuda = Antigua: Saint John's = St. John's
Argentina: Buenos Aires
Armenia: Yerevan
Australia: Canberra
Austria: Vienna
Azerbaijan: Baku
the Bahamas: Nassau
Bahrain: Manama
Bangladesh: Dhaka
Barbados: Bridgetown
Belarus: Minsk
Belgium: Brussels
Belize: Belmopan
Benin: Porto-Novo
Bhutan: Thimphu
Bolivia: Sucre
Bosnia and Herzegovina = Bosnia: Sarajevo
Botswana: Gaborone
Brazil: Brasilia = Brasília
Brunei: Bandar Seri Begawan
Bulgaria: Sofia
Burkina Faso: Ouagadougou
Burundi: Gitega
Cambodia: Phnom Penh
Cameroon: Yaounde = Yaoundé
Canada: Ottawa
Cape Verde = Cabo Verde: Praia
the Central African Republic: Bangui
Chad: N'Djamena
Chile: Santiago
China: Beijing
Colombia: Bogota = Bogotá
the Comoros: Moroni
Costa Rica: San Jose = San José
Croatia: Zagreb
Cuba: Havana
Cyprus: Nicosia
the Czech Republic = Czechia: Prague
the Democratic Republic of the Congo = DR Congo = the DRC: Kinshasa
Denmark: Copenhagen
Djibouti: Djibouti
Dominica: Roseau
the Dominican Republic: Santo Domingo
East Timor = Timor-Leste: Dili
Ecuador: Quito
Egypt: Cairo
El Salvador: San Salvador
Equatorial Guinea: Ciudad de la Paz
Eritrea: Asmara
Estonia: Tallinn
Eswatini = Swaziland: Mbabane
Ethiopia: Addis Ababa
Fiji: Suva
Finland: Helsinki
France: Paris
Gabon: Libreville
the Gambia: Banjul
Georgia: Tbilisi
Germany: Berlin
Ghana: Accra
Greece: Athens
Grenada: Saint George's = St. George's
Guatemala: Guatemala City
Guinea: Conakry
Guinea-Bissau: Bissau
Guyana: Georgetown
Haiti: Port-au-Prince
Honduras: Tegucigalpa
Hungary: Budapest
Iceland: Reykjavik = Reykjavík
India: New Delhi
Indonesia: Jakarta
Iran: Tehran
Iraq: Baghdad
Ireland: Dublin
Israel: Jerusalem
Italy: Rome
the Ivory Coast = Côte d'Ivoire: Yamoussoukro
Jamaica: Kingston
Japan: Tokyo
Jordan: Amman
Kazakhstan: Astana
Kenya: Nairobi
Kiribati: Tarawa = South Tarawa
Kosovo: Pristina
Kuwait: Kuwait City
Kyrgyzstan: Bishkek
Laos: Vientiane
Latvia: Riga
Lebanon: Beirut
Lesotho: Maseru
Liberia: Monrovia
Libya: Tripoli
Liechtenstein: Vaduz
Lithuania: Vilnius
Luxembourg: Luxembourg
Madagascar: Antananarivo
Malawi: Lilongwe
Malaysia: Kuala Lumpur
the Maldives: Male = Malé
Mali: Bamako
Malta: Valletta
the Marshall Islands: Majuro
Mauritania: Nouakchott
Mauritius: Port Louis
Mexico: Mexico City
Micronesia: Palikir
Moldova: Chisinau = Chișinău
Monaco: Monaco
Mongolia: Ulaanbaatar = Ulan Bator
Montenegro: Podgorica
Morocco: Rabat
Mozambique: Maputo
Myanmar = Burma: Naypyidaw
Namibia: Windhoek
Nauru: Yaren
Nepal: Kathmandu
the Netherlands = Holland: Amsterdam
New Zealand: Wellington
Nicaragua: Managua
Niger: Niamey
Nigeria: Abuja
North Korea: Pyongyang
North Macedonia = Macedonia: Skopje
Norway: Oslo
Oman: Muscat
Pakistan: Islamabad
Palau: Ngerulmud
Palestine: Ramallah
Panama: Panama City
Papua New Guinea: Port Moresby
Paraguay: Asuncion = Asunción
Peru: Lima
the Philippines: Manila
Poland: Warsaw
Portugal: Lisbon
Qatar: Doha
the Republic of the Congo = Congo-Brazzaville: Brazzaville
Romania: Bucharest
Russia: Moscow
Rwanda: Kigali
Saint Kitts and Nevis = St. Kitts and Nevis: Basseterre
Saint Lucia = St. Lucia: Castries
Saint Vincent and the Grenadines = St. Vincent: Kingstown
Samoa: Apia
San Marino: San Marino
Sao Tome and Principe = São Tomé and Príncipe: Sao Tome = São Tomé
Saudi Arabia: Riyadh
Senegal: Dakar
Serbia: Belgrade
the Seychelles: Victoria
Sierra Leone: Freetown
Singapore: Singapore
Slovakia: Bratislava
Slovenia: Ljubljana
the Solomon Islands: Honiara
Somalia: Mogadishu
South Africa: Pretoria
South Korea: Seoul
South Sudan: Juba
Spain: Madrid
Sri Lanka: Sri Jayawardenepura Kotte = Kotte
Sudan: Khartoum
Suriname: Paramaribo
Sweden: Stockholm
Switzerland: Bern
Syria: Damascus
Taiwan: Taipei
Tajikistan: Dushanbe
Tanzania: Dodoma
Thailand: Bangkok
Togo: Lome = Lomé
Tonga: Nuku'alofa
Trinidad and Tobago = Trinidad: Port of Spain
Tunisia: Tunis
Turkey = Türkiye: Ankara
Turkmenistan: Ashgabat
Tuvalu: Funafuti
Uganda: Kampala
Ukraine: Kyiv = Kiev
the United Arab Emirates = the UAE: Abu Dhabi
the United Kingdom = the UK = Britain = Great Britain: London
the United States = the USA = the US = America: Washington = Washington, D.C.
Uruguay: Montevideo
Uzbekistan: Tashkent
Vanuatu: Port Vila
the Vatican = Vatican City: Vatican City
Venezuela: Caracas
Vietnam: Hanoi
Yemen: Sanaa
Zambia: Lusaka
Zimbabwe: Harare
"""

# Asked for by name, but the city leads back to the United Kingdom.
_NATIONS = """
England: London
Scotland: Edinburgh
Wales: Cardiff
Northern Ireland: Belfast
"""

# Where "The capital of X is Y." would be too simple. Each answer still names the capital above.
CAPITAL_NOTES = {
    "Bolivia": "The capital of Bolivia is Sucre; its government sits in La Paz.",
    "Israel": "The capital of Israel is Jerusalem; its status is disputed.",
    "Palestine": "Palestine claims East Jerusalem; its government sits in Ramallah.",
    "South Africa": "South Africa has three capitals: Pretoria, Cape Town and Bloemfontein.",
}
CITY_NOTES = {
    "Pretoria": "Pretoria is one of the three capitals of South Africa.",
    "Ramallah": "Ramallah is the seat of government of Palestine.",
}


@dataclass(frozen=True)
class Country:
    """One country; `name` and `capital` are what answers say, the others what people may ask."""

    name: str
    capital: str
    other_names: tuple[str, ...] = ()
    other_spellings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every way to ask for it, "the" present and left out."""
        full = (self.name, *self.other_names)
        return full + tuple(name.removeprefix("the ") for name in full if name.startswith("the "))

    @property
    def cities(self) -> tuple[str, ...]:
        """Every way to write its capital."""
        return (self.capital, *self.other_spellings)


def _parse(rows: str) -> tuple[Country, ...]:
    """Read the tables above."""
    countries = []
    for row in rows.strip().splitlines():
        country, capital = row.split(":")
        name, *other_names = (part.strip() for part in country.split("="))
        city, *other_cities = (part.strip() for part in capital.split("="))
        countries.append(Country(name, city, tuple(other_names), tuple(other_cities)))
    return tuple(countries)


COUNTRIES = _parse(_ROWS)
NATIONS = _parse(_NATIONS)

# The words a typo must not turn another name into: Niger is not a misspelt Nigeria.
NAME_WORDS = frozenset(
    word.lower()
    for country in (*COUNTRIES, *NATIONS)
    for name in (*country.names, *country.cities)
    for word in name.split()
)
